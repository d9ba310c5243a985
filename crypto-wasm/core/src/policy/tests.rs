use proptest::prelude::*;

use super::*;
use crate::contract::limits::{RATE_CAPACITY, RATE_REFILL_PER_SECOND, URL_BYTES};
use crate::grant::Class;
use crate::lineage::fixture::{jkt, key, lineage, name as did_of, seed};
use crate::registry::ResourceFrom;

const PUBLISHER: u8 = 9;

fn snapshot() -> String {
    let anchor = format!(r#"{{"did":"{}","jwk":{}}}"#, did_of(0), jwk::text(&key(0)));
    let class = |name: &str| {
        format!(r#"{{"name":"{name}","capacity":10,"refill_per_second":1,"link_share_percent":50,"concurrency":4}}"#)
    };
    format!(
        r#"{{"v":1,"tenant":"default","version":3,"anchors":[{anchor}],
        "dids":[{{"did":"did:web:a.example","jkt":"{}"}}],
        "servers":[{{"name":"files","url":"https://files.example/mcp","timeout_ms":5000}}],
        "tools":[{{"tool":"files/read","class":"read","actions":["call"],"resource_arg":"path","rate_class":"read"}},
        {{"tool":"files/@resource","class":"read","actions":["read","subscribe"],"resource":"explicit","rate_class":"read","cost":2}},
        {{"tool":"files/list","class":"write","actions":["call"],"rate_class":"read"}}],
        "rate_classes":[{},{},{}],
        "roles":[{{"id":"reader","grants":[{{"tool":"files/read","classes":["read"],"actions":"*","resource":"any","args":{{}},"closed":false}}]}}],
        "bindings":[{{"id":"b1","role":"reader","principal":"*","scope":{{"type":"global"}}}}],
        "forbids":[{{"id":"f1","principal":"{}","tool":"files/*","classes":["read"],"reason":"gone"}}],
        "peps":[{{"jkt":"{}","origins":["https://pep.example/api"],"servers":["files"]}}],
        "revoked_keys":["{}"],"unregistered":"deny"}}"#,
        jkt(5),
        class("control"),
        class("read"),
        class("session"),
        did_of(6),
        jkt(7),
        jkt(8),
    )
}

fn parsed(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn loaded(text: &str) -> Result<Policy, Error> {
    let payload = json::print(&parsed(text));
    let header = jws::header(TYP, [("kid", Value::Str(jkt(PUBLISHER)))]);
    load(&jws::sign(&seed(PUBLISHER), &header, payload.as_bytes()), "default", &[key(1), key(PUBLISHER)], None)
}

fn good() -> Policy {
    loaded(&snapshot()).unwrap()
}

#[test]
fn a_snapshot_is_compiled() {
    let policy = good();
    assert_eq!((policy.tenant.as_str(), policy.version, policy.unregistered_destructive), ("default", 3, false));
    assert_eq!(policy.hash, sha256_b64(json::print(&parsed(&snapshot())).as_bytes()));
    assert_eq!(policy.trust.anchor(&did_of(0)), Some(&key(0)));
    assert!(policy.trust.lists("did:web:a.example", &jkt(5)));
    let tool = policy.registry.tool("files/read").unwrap();
    assert_eq!((tool.class, tool.cost, tool.takes("call"), tool.takes("read")), (Class::Read, 1, true, false));
    assert_eq!(tool.resource, ResourceFrom::Argument("path".into()));
    let resource = policy.registry.tool("files/@resource").unwrap();
    assert_eq!((&resource.resource, resource.cost), (&ResourceFrom::Explicit, 2));
    assert_eq!(policy.registry.tool("files/list").unwrap().resource, ResourceFrom::Nowhere);
    assert!(policy.registry.tool("files/rea").is_none() && policy.registry.tool("mail/read").is_none());
    assert_eq!(policy.registry.server("files").unwrap().timeout_ms, Some(5_000));
    assert_eq!(policy.registry.rate_class("read").unwrap().capacity, 10);
    assert_eq!(policy.roles.for_tool(&did_of(1), "files/read").unwrap().len(), 1);
    assert!(policy.forbids.hit(&lineage(6), "files/read", Class::Read).is_some());
    assert!(policy.pep(&jkt(7)).is_some() && policy.pep(&jkt(6)).is_none());
    assert!(policy.revokes(&jkt(8)) && !policy.revokes(&jkt(7)));
    assert!(loaded(&snapshot().replace("\"deny\"", "\"destructive\"")).unwrap().unregistered_destructive);
}

#[test]
fn a_key_that_the_policy_revokes_kills_where_it_signs_or_holds() {
    let revoking = |n: u8| loaded(&snapshot().replace(&jkt(8), &jkt(n))).unwrap().revoked(&lineage(3));
    assert_eq!(revoking(0), Some(0));
    assert_eq!(revoking(1), Some(0));
    assert_eq!(revoking(2), Some(1));
    assert_eq!(revoking(3), Some(2));
    assert_eq!(revoking(4), None);
}

#[test]
fn only_a_listed_publisher_is_believed() {
    let (text, hash) = sign(&seed(PUBLISHER), &parsed(&snapshot())).unwrap();
    let code = |text: &str, tenant: &str, keys: &[[u8; 32]], hash: Option<&str>| {
        let error = load(text, tenant, keys, hash).unwrap_err();
        (error.code, error.field.clone().unwrap_or_default())
    };
    assert!(load(&text, "default", &[key(PUBLISHER)], Some(&hash)).is_ok());
    assert_eq!(code(&text, "default", &[], None), (Code::SignatureInvalid, "kid".into()));
    assert_eq!(code(&text, "default", &[key(1)], None), (Code::SignatureInvalid, "kid".into()));
    assert_eq!(code(&text, "acme", &[key(PUBLISHER)], None), (Code::PolicyInvalid, "tenant".into()));
    let other = sha256_b64(b"other");
    let mismatch = code(&text, "default", &[key(PUBLISHER)], Some(&other));
    assert_eq!(mismatch, (Code::HeadInconsistent, "policy_hash".into()));
    // Another key under the publisher's name.
    let payload = json::print(&parsed(&snapshot()));
    let header = jws::header(TYP, [("kid", Value::Str(jkt(PUBLISHER)))]);
    let forged = jws::sign(&seed(1), &header, payload.as_bytes());
    assert_eq!(code(&forged, "default", &[key(PUBLISHER)], None).0, Code::SignatureInvalid);
    let loose = jws::sign(&seed(PUBLISHER), &header, snapshot().as_bytes());
    assert_eq!(code(&loose, "default", &[key(PUBLISHER)], None), (Code::PolicyInvalid, "payload".into()));
    let head = jws::header("talos-head+jwt", [("kid", Value::Str(jkt(PUBLISHER)))]);
    let typed = jws::sign(&seed(PUBLISHER), &head, payload.as_bytes());
    assert_eq!(code(&typed, "default", &[key(PUBLISHER)], None), (Code::PolicyInvalid, "typ".into()));
    assert_eq!(code(&"a".repeat(POLICY_BYTES + 1), "default", &[], None), (Code::PolicyInvalid, "jws".into()));
    assert!(sign(&seed(PUBLISHER), &Value::Null).is_err(), "what nobody would load is not signed");
}

#[test]
fn every_malformed_part_is_refused_by_its_name() {
    let read = r#"{"tool":"files/read","class":"read","actions":["call"],"resource_arg":"path","rate_class":"read"}"#;
    let files = r#"{"name":"files","url":"https://files.example/mcp","timeout_ms":5000}"#;
    let control = r#"{"name":"control","capacity":10,"refill_per_second":1,"link_share_percent":50,"concurrency":4}"#;
    let binding = r#"{"id":"b1","role":"reader","principal":"*","scope":{"type":"global"}}"#;
    let web = format!(r#"{{"did":"did:web:a.example","jkt":"{}"}}"#, jkt(5));
    let anchor = format!(r#"{{"did":"{}","jwk":{}}}"#, did_of(0), jwk::text(&key(0)));
    let swapped = anchor.replace(&b64::encode(&key(0)), &b64::encode(&key(1)));
    let cases: Vec<(&str, String, &str)> = vec![
        (r#""v":1"#, r#""v":2"#.into(), "v"),
        (r#""tenant":"default""#, r#""tenant":1"#.into(), "tenant"),
        (r#""version":3"#, r#""version":0"#.into(), "version"),
        (r#""version":3"#, r#""version":"3""#.into(), "version"),
        (r#""unregistered":"deny""#, r#""unregistered":"allow""#.into(), "unregistered"),
        (r#""unregistered":"deny""#, r#""unregistered":"deny","x":1"#.into(), "x"),
        (&anchor, swapped, "anchors[0].jwk"),
        (&anchor, format!("{anchor},{anchor}"), "anchors"),
        (&anchor, anchor.replace("did:key", "did:foo"), "anchors[0].did"),
        (&anchor, "1".into(), "anchors[0]"),
        (&anchor, format!(r#"{{"did":"did:web:b.example","jwk":{}}}"#, jwk::text(&[0; 32])), "anchors[0].jwk"),
        (&anchor, r#"{"did":"did:web:a.example"}"#.into(), "anchors[0].jwk"),
        (&web, web.replace("did:web:a.example", &did_of(1)), "dids[0].did"),
        (&web, web.replace("\"jkt\":\"", "\"jkt\":\"A"), "dids[0].jkt"),
        (&web, format!("{web},{web}"), "dids"),
        (files, files.replace("files\"", "talos\""), "servers[0].name"),
        (files, files.replace("files\"", "Files\""), "servers[0].name"),
        (files, files.replace("https:", "ftp:"), "servers[0].url"),
        (files, files.replace("/mcp", "/mcp#x"), "servers[0].url"),
        (files, files.replace("https://files.example/mcp", "https://"), "servers[0].url"),
        (files, files.replace("files.example", ""), "servers[0].url"),
        (files, files.replace("/mcp", "/m cp"), "servers[0].url"),
        (files, files.replace("/mcp", "/m\u{e9}"), "servers[0].url"),
        (files, files.replace("/mcp", &format!("/{}", "m".repeat(URL_BYTES))), "servers[0].url"),
        (files, files.replace("5000", "99"), "servers[0].timeout_ms"),
        (files, files.replace("5000", "300001"), "servers[0].timeout_ms"),
        (files, files.replace("{\"name", "{\"x\":1,\"name"), "servers[0].x"),
        (files, format!("{files},{files}"), "servers[1]"),
        (files, files.replace("files\"", "other\""), "tools[0].tool"),
        (read, read.replace("files/read", "files"), "tools[0].tool"),
        (read, read.replace("files/read", "mail/read"), "tools[0].tool"),
        (read, read.replace("\"class\":\"read\"", "\"class\":\"look\""), "tools[0].class"),
        (read, read.replace("[\"call\"]", "\"*\""), "tools[0].actions"),
        (read, read.replace("[\"call\"]", "[]"), "tools[0].actions"),
        (read, read.replace("[\"call\"]", "[\"b\",\"a\"]"), "tools[0].actions"),
        (read, read.replace("\"path\"", "\"a b\""), "tools[0].resource_arg"),
        (read, read.replace("\"resource_arg\"", "\"resource\":\"explicit\",\"resource_arg\""), "tools[0].resource_arg"),
        (read, read.replace("\"resource_arg\":\"path\"", "\"resource\":\"explicit\""), "tools[0].resource"),
        (read, read.replace("\"resource_arg\":\"path\"", "\"resource\":\"none\""), "tools[0].resource"),
        (r#""resource":"explicit""#, r#""resource":"none""#.into(), "tools[1].resource"),
        (read, read.replace("rate_class\":\"read", "rate_class\":\"fast"), "tools[0].rate_class"),
        (read, read.replace("rate_class\":\"read", "rate_class\":\"\""), "?"),
        (read, read.replace("\"rate_class\"", "\"keep\":\"none\",\"rate_class\""), "tools[0].keep"),
        (read, read.replace("{\"tool", "{\"cost\":0,\"tool"), "tools[0].cost"),
        (read, read.replace("{\"tool", "{\"cost\":1001,\"tool"), "tools[0].cost"),
        (read, read.replace("{\"tool", "{\"default\":true,\"tool"), "tools[0].default"),
        (read, format!("{read},{read}"), "tools[1]"),
        (control, control.replace("control", "other"), "rate_classes"),
        (control, control.replace("10", "0"), "rate_classes[0].capacity"),
        (control, control.replace("10", &(RATE_CAPACITY + 1).to_string()), "rate_classes[0].capacity"),
        (control, control.replace(":1,", ":0,"), "rate_classes[0].refill_per_second"),
        (
            control,
            control.replace(":1,", &format!(":{},", RATE_REFILL_PER_SECOND + 1)),
            "rate_classes[0].refill_per_second",
        ),
        (control, control.replace("50", "0"), "rate_classes[0].link_share_percent"),
        (control, control.replace("50", "101"), "rate_classes[0].link_share_percent"),
        (control, control.replace(":4", ":0"), "rate_classes[0].concurrency"),
        (control, control.replace(":4", ":1001"), "rate_classes[0].concurrency"),
        (control, control.replace("{\"name", "{\"x\":1,\"name"), "rate_classes[0].x"),
        (control, format!("{control},{control}"), "rate_classes[1]"),
        (r#""id":"reader""#, r#""id":"Reader""#.into(), "roles[0].id"),
        (r#""id":"reader""#, r#""id":"writer""#.into(), "bindings[0].role"),
        (r#""resource":"any""#, r#""resource":"all""#.into(), "roles[0].grants[0].resource"),
        (r#""closed":false"#, r#""closed":0"#.into(), "roles[0].grants[0].closed"),
        (binding, binding.replace("\"*\"", "\"me\""), "bindings[0].principal"),
        (binding, binding.replace("global", "tool"), "bindings[0].scope.attributes"),
        (binding, format!("{binding},{binding}"), "bindings[1]"),
        (r#""tool":"files/*""#, r#""tool":"files*""#.into(), "forbids[0].tool"),
        (r#""reason":"gone""#, r#""reason":"""#.into(), "forbids[0].reason"),
        (r#""origins":["https://pep.example/api"]"#, r#""origins":[]"#.into(), "peps[0].origins"),
        (r#""origins":["https://pep.example/api"]"#, r#""origins":["x"]"#.into(), "peps[0].origins"),
        (r#""origins":["https://pep.example/api"]"#, r#""origins":["https://a/?x"]"#.into(), "peps[0].origins"),
        (r#""servers":["files"]"#, r#""servers":["mail"]"#.into(), "peps[0].servers"),
        (r#""servers":["files"]"#, r#""servers":["files","files"]"#.into(), "peps[0].servers"),
        (r#""revoked_keys":["#, r#""revoked_keys":["x","#.into(), "revoked_keys[0]"),
        (r#""revoked_keys":["#, format!(r#""revoked_keys":["{}","#, jkt(8)), "revoked_keys[1]"),
    ];
    for (from, to, field) in cases {
        let bad = snapshot().replacen(from, &to, 1);
        assert_ne!(bad, snapshot(), "{from}");
        if field == "?" {
            assert!(json::parse(bad.as_bytes()).is_err());
            continue;
        }
        let error = loaded(&bad).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::PolicyInvalid, Some(field)), "{to}");
    }
}

#[test]
fn every_member_is_required_and_bounded() {
    let Value::Obj(members) = parsed(&snapshot()) else { panic!("not an object") };
    for (at, (name, value)) in members.iter().enumerate() {
        let mut without = members.clone();
        without.remove(at);
        let error = loaded(&json::print(&Value::Obj(without))).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::PolicyInvalid, Some(name.as_str())));
        let Value::Arr(items) = value else { continue };
        let mut many = members.clone();
        many[at].1 = Value::Arr(vec![items[0].clone(); 5_000]);
        let error = loaded(&json::print(&Value::Obj(many))).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::PolicyInvalid, Some(name.as_str())));
    }
}

proptest! {
    #[test]
    fn no_payload_panics(payload in any::<Vec<u8>>(), text in any::<String>()) {
        prop_assert!(load(&text, "default", &[key(PUBLISHER)], None).is_err());
        let header = jws::header(TYP, [("kid", Value::Str(jkt(PUBLISHER)))]);
        let signed = jws::sign(&seed(PUBLISHER), &header, &payload);
        prop_assert!(load(&signed, "default", &[key(PUBLISHER)], None).is_err());
    }

    /// A snapshot with a piece cut out is no snapshot.
    #[test]
    fn no_damaged_snapshot_panics(from in 0_usize..1_500, length in 1_usize..200) {
        let text = json::print(&parsed(&snapshot()));
        let damaged: String = text.chars().enumerate()
            .filter(|(at, _)| !(from..from + length).contains(at)).map(|(_, c)| c).collect();
        if let Ok(value) = json::parse(damaged.as_bytes()) {
            let _ = loaded(&json::print(&value));
        }
    }
}
