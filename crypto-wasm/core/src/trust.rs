//! Whom a tenant trusts: its anchors, and the did:web holders that its policy lists.
//!
//! Source: contracts/spec/identity.md#dids, contracts/spec/capability.md#chain.

use crate::did;
use crate::table;
use crate::{Code, Error};

/// The key of an anchor and its thumbprint, which sessions ask for at every request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Anchor {
    key: [u8; 32],
    jkt: String,
}

/// Anchors and did:web holders, for looking up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    anchors: Vec<(String, Anchor)>,
    webs: Vec<(String, String)>,
}

impl Trust {
    /// `anchors`: DID and key, where a DID that encodes its key needs none. `webs`: did:web and the thumbprint of its key.
    ///
    /// # Errors
    /// `policy.invalid` for an anchor without a key or with another than its DID encodes, a holder that is no did:web, or one
    /// DID twice (which of two keys counts would be left open); `MALFORMED` or `LIMIT_EXCEEDED` for what is no DID.
    pub fn new(
        anchors: impl IntoIterator<Item = (String, Option<[u8; 32]>)>,
        webs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let mut trust = Self::default();
        for (did, given) in anchors {
            let key = match (did::key_of(&did)?, given) {
                (Some(own), Some(given)) if own != given => {
                    return Err(invalid("an anchor with another key", "anchors"));
                }
                (Some(key), _) | (None, Some(key)) => key,
                (None, None) => return Err(invalid("a did:web anchor without a key", "anchors")),
            };
            trust.anchors.push((did, Anchor { key, jkt: did::thumbprint(&key) }));
        }
        for (did, jkt) in webs {
            if did::key_of(&did)?.is_some() {
                return Err(invalid("a listed holder that is no did:web", "dids"));
            }
            trust.webs.push((did, jkt));
        }
        table::sort(&mut trust.anchors, |left, right| left.0.cmp(&right.0));
        table::sort(&mut trust.webs, |left, right| left.0.cmp(&right.0));
        if trust.anchors.windows(2).any(|pair| matches!(pair, [left, right] if left.0 == right.0)) {
            return Err(invalid("one anchor twice", "anchors"));
        }
        if trust.webs.windows(2).any(|pair| matches!(pair, [left, right] if left.0 == right.0)) {
            return Err(invalid("one did:web holder twice", "dids"));
        }
        Ok(trust)
    }

    /// The key of the anchor `did`, if it is one.
    #[must_use]
    pub fn anchor(&self, did: &str) -> Option<&[u8; 32]> {
        self.find(did).map(|anchor| &anchor.key)
    }

    /// The thumbprint of the key of the anchor `did`, if it is one.
    #[must_use]
    pub fn anchor_jkt(&self, did: &str) -> Option<&str> {
        self.find(did).map(|anchor| anchor.jkt.as_str())
    }

    fn find(&self, did: &str) -> Option<&Anchor> {
        let index = self.anchors.binary_search_by(|(anchor, _)| anchor.as_str().cmp(did)).ok()?;
        self.anchors.get(index).map(|(_, anchor)| anchor)
    }

    /// Whether the did:web `did` is listed with the key of thumbprint `jkt`.
    #[must_use]
    pub fn lists(&self, did: &str, jkt: &str) -> bool {
        let found = self.webs.binary_search_by(|(holder, _)| holder.as_str().cmp(did)).ok();
        found.and_then(|index| self.webs.get(index)).is_some_and(|(_, listed)| listed == jkt)
    }
}

fn invalid(detail: &'static str, field: &str) -> Error {
    Error::new(Code::PolicyInvalid, detail).at(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "did:web:a.example";

    #[test]
    fn anchors_and_holders_are_found_by_their_whole_name() {
        let own = did::did_key(&[1; 32]);
        let anchors = [(own.clone(), None), (WEB.to_owned(), Some([2; 32]))];
        let trust = Trust::new(anchors, [("did:web:b.example".to_owned(), "thumb".to_owned())]).unwrap();
        assert_eq!(trust.anchor(&own), Some(&[1; 32]));
        assert_eq!(trust.anchor(WEB), Some(&[2; 32]));
        assert_eq!(trust.anchor("did:web:a.exampl"), None);
        assert!(trust.lists("did:web:b.example", "thumb"));
        assert!(!trust.lists("did:web:b.example", "other") && !trust.lists(WEB, "thumb"));
    }

    #[test]
    fn what_would_leave_a_key_open_is_refused() {
        let own = did::did_key(&[1; 32]);
        let refused =
            |anchors: Vec<(String, Option<[u8; 32]>)>, webs: Vec<(String, String)>| Trust::new(anchors, webs).is_err();
        assert!(refused(vec![(own.clone(), Some([2; 32]))], vec![]));
        assert!(refused(vec![(WEB.into(), None)], vec![]));
        assert!(refused(vec![(WEB.into(), Some([1; 32])), (WEB.into(), Some([2; 32]))], vec![]));
        assert!(refused(vec![("nobody".into(), Some([1; 32]))], vec![]));
        assert!(refused(vec![], vec![(own, "thumb".into())]));
        assert!(refused(vec![], vec![(WEB.into(), "a".into()), (WEB.into(), "b".into())]));
    }
}
