//! Third parties that enforce decisions themselves and may ask for others.
//!
//! Source: contracts/spec/gateway.md#authorize.

use crate::contract::limits::{PEP_ORIGINS, SERVERS};
use crate::grant::is_server;
use crate::json::{Fields, Value};
use crate::registry::is_url;
use crate::{Error, b64};

/// A third party: another gateway, a tool server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pep {
    /// Thumbprint of its key.
    pub jkt: String,
    /// Origins, each with an optional path prefix, that it enforces for.
    pub origins: Vec<String>,
    /// Servers whose tools it asks about.
    pub servers: Vec<String>,
}

impl Pep {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let jkt = b64::encode(&fields.b64_32("jkt")?);
        let origins = texts(&mut fields, "origins", PEP_ORIGINS, |text| is_url(text) && !text.contains('?'))?;
        let servers = texts(&mut fields, "servers", SERVERS, is_server)?;
        fields.finish()?;
        Ok(Self { jkt, origins, servers })
    }

    /// Whether it may ask about a request to `target_uri` for a tool of `server`. The origin must be equal and the path
    /// continue the listed one by whole segments.
    #[must_use]
    pub fn covers(&self, target_uri: &str, server: &str) -> bool {
        let path = target_uri.split_once('?').map_or(target_uri, |(path, _)| path);
        let under = |origin: &String| {
            let origin = origin.strip_suffix('/').unwrap_or(origin);
            path.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.servers.iter().any(|own| own == server) && self.origins.iter().any(under)
    }
}

fn texts(
    fields: &mut Fields<'_>,
    member: &str,
    most: usize,
    fits: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Error> {
    let bad = || Error::malformed("not a list of such texts").at(member);
    let mut texts: Vec<String> = Vec::new();
    for item in fields.arr(member)? {
        let text = item.as_str().filter(|text| fits(text)).ok_or_else(bad)?;
        if texts.iter().any(|other| other == text) {
            return Err(bad());
        }
        texts.push(text.to_owned());
    }
    if (1..=most).contains(&texts.len()) { Ok(texts) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pep(origin: &str) -> Pep {
        Pep { jkt: String::new(), origins: vec![origin.into()], servers: vec!["files".into()] }
    }

    #[test]
    fn it_asks_only_below_its_origins_and_for_its_servers() {
        for (origin, target, covered) in [
            ("https://a.example", "https://a.example/x", true),
            ("https://a.example", "https://a.example/", true),
            ("https://a.example", "https://a.example.evil/x", false),
            ("https://a.example", "https://a.example:8443/x", false),
            ("https://a.example", "https://a.example@evil/x", false),
            ("https://a.example", "http://a.example/x", false),
            ("https://a.example/api", "https://a.example/api", true),
            ("https://a.example/api", "https://a.example/api?q=/", true),
            ("https://a.example/api/", "https://a.example/api/x", true),
            ("https://a.example/api", "https://a.example/apix", false),
            ("https://a.example/api", "https://a.example/other", false),
            ("https://a.example/api", "https://b.example/?https://a.example/api/", false),
        ] {
            assert_eq!(pep(origin).covers(target, "files"), covered, "{origin} {target}");
            assert!(!pep(origin).covers(target, "mail"));
        }
    }
}
