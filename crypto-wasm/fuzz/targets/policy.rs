//! Policy snapshots: what compiles is whole, and answers every question.

use std::cell::OnceCell;

use talos_core::json::{self, Value};
use talos_core::policy::{self, Policy};
use talos_core::{hash, jws};

use super::world::{GRANTS, TENANT, did_of, flipped, jkt, key, lines, patched, signed};

const PUBLISHER: u8 = 4;

/// The policy of the world: every tool of [`GRANTS`], everybody's for the asking.
pub fn snapshot() -> Value {
    let grants = GRANTS.replace(r#"{"prefix":"data"}"#, r#""any""#);
    let jwk = |n: u8| json::print(&talos_core::jwk::value(&key(n)));
    let text = format!(
        r#"{{"anchors":[{{"did":"{}","jwk":{}}},{{"did":"did:web:anchor.example","jwk":{}}}],
        "bindings":[{{"id":"everyone","principal":"*","role":"everything","scope":{{"type":"global"}}}}],
        "dids":[{{"did":"did:web:holder.example","jkt":"{}"}}],"forbids":[{{"id":"no","principal":"did:web:nobody.example",
        "tool":"files/*","classes":["pay"],"reason":"r"}}],"peps":[{{"jkt":"{}","origins":["https://pep.example/tools"],
        "servers":["files"]}}],"rate_classes":[{},{},{}],"revoked_keys":["{}"],"roles":[{{"grants":{grants},"id":"everything"}}],
        "servers":[{{"name":"files","url":"http://127.0.0.1:1/mcp"}}],"tenant":"{TENANT}","tools":[
        {{"actions":["get"],"class":"read","rate_class":"read","tool":"files/@prompt/hello"}},
        {{"actions":["read","subscribe"],"class":"read","rate_class":"read","resource":"explicit","tool":"files/@resource"}},
        {{"actions":["call"],"class":"read","rate_class":"read","tool":"files/limited"}},
        {{"actions":["call"],"class":"read","rate_class":"read","resource_arg":"path","tool":"files/read"}},
        {{"actions":["call"],"class":"write","rate_class":"read","tool":"files/write"}}],
        "unregistered":"deny","v":1,"version":1}}"#,
        did_of(1),
        jwk(1),
        jwk(20),
        jkt(21),
        jkt(2),
        rate("control"),
        rate("read"),
        rate("session"),
        jkt(30),
    );
    json::parse(text.as_bytes()).expect("a snapshot")
}

fn rate(name: &str) -> String {
    format!(r#"{{"capacity":100,"concurrency":8,"link_share_percent":50,"name":"{name}","refill_per_second":10}}"#)
}

/// The compiled policy of the world, once a thread.
pub fn with_policy<T>(run: impl FnOnce(&Policy) -> T) -> T {
    thread_local! {
        static POLICY: OnceCell<Policy> = const { OnceCell::new() };
    }
    POLICY.with(|cell| {
        run(cell.get_or_init(|| {
            let (text, hash) = policy::sign(&[PUBLISHER; 32], &snapshot()).expect("a policy");
            policy::load(&text, TENANT, &[key(PUBLISHER)], Some(&hash)).expect("a policy")
        }))
    })
}

/// One line a patch of the snapshot, one over the other; what begins with `~` is signed as it stands.
pub fn run(data: &[u8]) {
    let mut value = Some(snapshot());
    let payload = if let Some(raw) = data.strip_prefix(b"~") {
        raw.to_vec()
    } else {
        for line in lines(data).take(4) {
            value = value.and_then(|value| patched(value, line));
        }
        let Some(value) = &value else { return };
        json::print(value).into_bytes()
    };
    let kid = talos_core::jwk::thumbprint(&key(PUBLISHER));
    let header = jws::header("talos-policy+jwt", [("kid", Value::Str(kid))]);
    let text = signed(PUBLISHER, &header, &payload);
    let publishers = [key(PUBLISHER)];
    let Ok(policy) = policy::load(&text, TENANT, &publishers, None) else { return };

    assert_eq!((policy.tenant.as_str(), &policy.hash), (TENANT, &hash::sha256_b64(&payload)));
    let read: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(read["version"].as_u64(), Some(policy.version));
    assert_eq!(policy.unregistered_destructive, read["unregistered"] == "destructive");
    let again = json::parse(&payload).expect("strict JSON");
    assert_eq!(json::print(&again).as_bytes(), payload, "a snapshot has one form");
    assert_eq!(policy::sign(&[PUBLISHER; 32], &again).expect("what loads can be signed").0, text);
    let spaced = signed(PUBLISHER, &header, &[b" ", payload.as_slice()].concat());
    assert!(policy::load(&spaced, TENANT, &publishers, None).is_err(), "another form of the same");
    assert!(policy::load(&text, TENANT, &[key(PUBLISHER + 1)], None).is_err(), "a stranger's");
    assert!(policy::load(&text, TENANT, &publishers, Some(&hash::sha256_b64(b"another"))).is_err());
    assert!(flipped(&text, data).is_none_or(|changed| policy::load(&changed, TENANT, &publishers, None).is_err()));
    for pep in read["peps"].as_array().expect("a list") {
        assert!(policy.pep(pep["jkt"].as_str().expect("a thumbprint")).is_some());
    }
    for key in read["revoked_keys"].as_array().expect("a list") {
        assert!(policy.revokes(key.as_str().expect("a thumbprint")));
    }
    for tool in read["tools"].as_array().expect("a list") {
        let tool = tool["tool"].as_str().expect("a tool");
        for principal in [did_of(2).as_str(), "did:web:holder.example"] {
            let _ = policy.roles.for_tool(principal, tool);
            let _ = policy.roles.for_server(principal, "files");
        }
    }
}
