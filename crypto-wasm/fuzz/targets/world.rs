//! One tenant with keys, a clock and a policy; and how an input says what differs from a valid artefact of it.

use std::sync::LazyLock;

use talos_core::json::{self, Value};
use talos_core::link::Link;
use talos_core::trust::Trust;
use talos_core::{b64, did, ed25519, jwk, jws};

pub const TENANT: &str = "default";
pub const AUD: &str = "https://talos.example/t/default";
pub const JTI: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// Within the life of every artefact made here.
pub const NOW_MS: u64 = 1_500_000;
pub const NOW: i64 = 1_500;

/// The tools of the policy, as grants of everything on them.
pub const GRANTS: &str = r#"[{"actions":["get"],"args":{},"classes":["read"],"closed":false,"resource":"any","tool":"files/@prompt/hello"},{"actions":["read","subscribe"],"args":{},"classes":["read"],"closed":false,"resource":{"prefix":"file/-/data"},"tool":"files/@resource"},{"actions":["call"],"args":{"limit":[{"max":10,"min":1,"op":"range","type":"integer"}]},"classes":["read"],"closed":true,"resource":"any","tool":"files/limited"},{"actions":["call"],"args":{},"classes":["read"],"closed":false,"resource":{"prefix":"data"},"tool":"files/read"},{"actions":["call"],"args":{},"classes":["read","write"],"closed":false,"resource":"any","tool":"files/write"},{"actions":["evaluate"],"args":{},"classes":["read"],"closed":false,"resource":"any","tool":"talos/authorize"}]"#;

pub const fn seed(n: u8) -> [u8; 32] {
    [n; 32]
}

/// Key, DID and thumbprint of each number: computed once, since an input names a dozen.
fn names(n: u8) -> &'static ([u8; 32], String, String) {
    static NAMES: LazyLock<Vec<([u8; 32], String, String)>> = LazyLock::new(|| {
        let of = |n| {
            let key = ed25519::public(&seed(n));
            (key, did::did_key(&key), jwk::thumbprint(&key))
        };
        (0..=30).map(of).collect()
    });
    &NAMES[usize::from(n)]
}

pub fn key(n: u8) -> [u8; 32] {
    names(n).0
}

pub fn did_of(n: u8) -> String {
    names(n).1.clone()
}

pub fn jkt(n: u8) -> String {
    names(n).2.clone()
}

pub fn trust() -> Trust {
    let web = ("did:web:anchor.example".to_owned(), Some(key(20)));
    let holder = ("did:web:holder.example".to_owned(), jkt(21));
    Trust::new([(did_of(1), None), web], [holder]).expect("a valid list of anchors")
}

/// The lines of an input.
pub fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// `base` with the members of the JSON object `patch` in place of its own; a member that is `null` is left out. `None` when the
/// patch is no object, or names what [`Value::Obj`] cannot hold twice.
pub fn patched(base: Value, patch: &[u8]) -> Option<Value> {
    let (Value::Obj(mut members), Ok(Value::Obj(patch))) = (base, json::parse(patch)) else { return None };
    members.retain(|(name, _)| !patch.iter().any(|(own, _)| own == name));
    members.extend(patch.into_iter().filter(|(_, value)| *value != Value::Null));
    Some(Value::Obj(members))
}

/// What is signed: the patched value in canonical form, or the line itself when it is no patch.
pub fn payload(base: Value, patch: &[u8]) -> Vec<u8> {
    patched(base, patch).map_or_else(|| patch.to_vec(), |value| json::print(&value).into_bytes())
}

/// A JWS by key `n`.
pub fn signed(n: u8, header: &Value, payload: &[u8]) -> String {
    jws::sign(&seed(n), header, payload)
}

/// One changed bit of a text of ASCII, at a place that the input chooses; `None` when the change leaves no text.
pub fn flipped(text: &str, data: &[u8]) -> Option<String> {
    let place = data.iter().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut bytes = text.as_bytes().to_vec();
    let at = place % bytes.len();
    bytes[at] ^= 1 << (place / bytes.len() % 7);
    String::from_utf8(bytes).ok()
}

/// A chain of one link for each of `patches`, from key 1 to key 2, from key 2 to key 3 and so on. Each patch changes the claims
/// of a link that is otherwise as wide as its parent allows; what is no patch is signed as it stands.
pub fn chain_of<'a>(patches: impl Iterator<Item = &'a [u8]>) -> String {
    let mut chain = String::new();
    let mut parent: Option<String> = None;
    for (n, patch) in (1u8..).zip(patches.take(9)) {
        let grants = json::parse(GRANTS.as_bytes()).expect("grants are JSON");
        let link = Link {
            iss: did_of(n),
            sub: did_of(n + 1),
            aud: vec![AUD.into()],
            iat: 1_000,
            nbf: 1_000,
            exp: 2_000,
            jti: JTI.into(),
            holder: key(n + 1),
            ep: 0,
            depth: 8 - i64::from(n),
            par: parent.take(),
            grants: talos_core::grant::parse_grants(grants.as_arr().unwrap_or_default(), 64).expect("grants"),
        };
        let text = signed(n, &jws::header("talos-cap+jwt", []), &payload(link.value(), patch));
        parent = Some(b64::encode(&talos_core::hash::sha256(text.as_bytes())));
        if n > 1 {
            chain.push('~');
        }
        chain.push_str(&text);
    }
    chain
}
