use proptest::prelude::*;

use super::*;
use crate::ed25519;

const CLIENT: [u8; 32] = [1; 32];
const SERVER: [u8; 32] = [2; 32];
const SEED: [u8; 32] = [3; 32];
const SESSION: [u8; 16] = [4; 16];
const GATEWAY: &str = "did:web:talos.example";
const AUD: &str = "https://talos.example/t/default";
const TICKET: &str = "AWRldi0x";

fn link() -> String {
    sha256_b64(b"leaf")
}

fn keys() -> Vec<(&'static str, [u8; 32])> {
    vec![("dev-old", [9; 32]), ("dev-r", ed25519::public(&SEED))]
}

fn answer() -> Response {
    let (client_share, server_share, link) = (share(&CLIENT), share(&SERVER), link());
    let binding = Binding {
        session_id: &SESSION,
        client_share: &client_share,
        server_share: &server_share,
        link: &link,
        gateway: GATEWAY,
        aud: AUD,
    };
    Response {
        session_id: SESSION,
        ticket: TICKET.into(),
        share: server_share,
        expires_at: 1_000,
        writes: true,
        statement: state(&SEED, "dev-r", &binding, TICKET, 1_000),
    }
}

fn finished(response: &Response) -> Result<MacKey, Error> {
    finish(&CLIENT, response, &keys(), (GATEWAY, AUD, &link()), 999)
}

#[test]
fn both_sides_derive_one_key() {
    let response = answer();
    let (client_share, link) = (share(&CLIENT), link());
    let binding = Binding {
        session_id: &SESSION,
        client_share: &client_share,
        server_share: &response.share,
        link: &link,
        gateway: GATEWAY,
        aud: AUD,
    };
    let server = mac_key(&SERVER, &client_share, &binding).unwrap();
    assert_eq!(finished(&response).unwrap().bytes(), server.bytes());
}

#[test]
fn a_statement_beyond_its_bound_is_not_read() {
    let (client_share, server_share, link) = (share(&CLIENT), share(&SERVER), link());
    let checked = |gateway: &str| {
        let session_id = &SESSION;
        let (client_share, server_share) = (&client_share, &server_share);
        let binding = Binding { session_id, client_share, server_share, link: &link, gateway, aud: AUD };
        let statement = state(&SEED, "dev-r", &binding, TICKET, 1_000);
        check_statement(&statement, &keys(), &binding, TICKET, 1_000).map_err(|error| error.code)
    };
    assert_eq!(checked(GATEWAY), Ok(()));
    assert_eq!(checked(&format!("{GATEWAY}:{}", "a".repeat(LINK_BYTES))), Err(Code::LimitExceeded));
}

#[test]
fn the_key_is_bound_to_every_part() {
    let (client_share, server_share, link) = (share(&CLIENT), share(&SERVER), link());
    let binding = Binding {
        session_id: &SESSION,
        client_share: &client_share,
        server_share: &server_share,
        link: &link,
        gateway: GATEWAY,
        aud: AUD,
    };
    let derive = |binding: &Binding<'_>| *mac_key(&CLIENT, &server_share, binding).unwrap().bytes();
    let key = derive(&binding);
    let other = sha256_b64(b"other");
    assert_ne!(derive(&Binding { session_id: &[5; 16], ..binding }), key);
    assert_ne!(derive(&Binding { client_share: &[5; 32], ..binding }), key);
    assert_ne!(derive(&Binding { server_share: &[5; 32], ..binding }), key);
    assert_ne!(derive(&Binding { link: &other, ..binding }), key);
    assert_ne!(derive(&Binding { gateway: "did:web:talos.exampl", ..binding }), key);
    assert_ne!(derive(&Binding { aud: "https://talos.example/t/defaul", ..binding }), key);
    // Lengths stand before the parts: moving a byte from one part to the next gives other bytes.
    let moved = Binding { gateway: "did:web:talos.exampleh", aud: "ttps://talos.example/t/default", ..binding };
    assert_ne!(derive(&moved), key);
}

#[test]
fn the_info_is_the_one_of_the_page() {
    let (client_share, server_share, link) = ([1; 32], [2; 32], link());
    let binding = Binding {
        session_id: &SESSION,
        client_share: &client_share,
        server_share: &server_share,
        link: &link,
        gateway: "g",
        aud: "ab",
    };
    let mut expected = b"talos-session-1\0\x00\x20".to_vec();
    expected.extend([1; 32]);
    expected.extend(b"\x00\x20");
    expected.extend([2; 32]);
    expected.extend(b"\x00\x20");
    expected.extend(b64::decode32(&link).unwrap());
    expected.extend(b"\x00\x01g\x00\x02ab");
    assert_eq!(info(&binding).unwrap(), expected);
    assert!(info(&Binding { link: "x", ..binding }).is_err());
    assert_eq!(info(&Binding { aud: &"a".repeat(65_536), ..binding }).unwrap_err().code, Code::LimitExceeded);
}

#[test]
fn a_share_of_small_order_is_refused() {
    // RFC 7748 §6.1: with these the result is zero whatever the secret is (all seven encodings below 2^255 and beyond p).
    let hex = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for text in hex {
        let mut point = [0_u8; 32];
        for (at, byte) in point.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        }
        let link = link();
        let binding = Binding {
            session_id: &SESSION,
            client_share: &point,
            server_share: &share(&SERVER),
            link: &link,
            gateway: GATEWAY,
            aud: AUD,
        };
        let error = mac_key(&SERVER, &point, &binding).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::ProofInvalid, Some("share")), "{text}");
    }
}

#[test]
fn a_changed_answer_is_refused_by_the_client() {
    type Change = fn(&mut Response);
    let changes: [(&str, Change); 5] = [
        ("session", |response| response.session_id = [5; 16]),
        ("ticket_hash", |response| response.ticket = "AWRldi0y".into()),
        ("server_share", |response| response.share = share(&[9; 32])),
        ("exp", |response| response.expires_at = 1_001),
        ("statement", |response| {
            let last = response.statement.pop().unwrap();
            response.statement.push(if last == 'A' { 'Q' } else { 'A' });
        }),
    ];
    for (field, change) in changes {
        let mut response = answer();
        change(&mut response);
        let error = finished(&response).unwrap_err();
        if field != "statement" {
            assert_eq!((error.code, error.field.as_deref()), (Code::SignatureInvalid, Some(field)));
        }
    }
    let response = answer();
    let field = |gateway, aud, link: &str| {
        finish(&CLIENT, &response, &keys(), (gateway, aud, link), 999).unwrap_err().field.clone().unwrap()
    };
    assert_eq!(field("did:web:other.example", AUD, &link()), "gateway");
    assert_eq!(field(GATEWAY, "https://talos.example/t/acme", &link()), "aud");
    assert_eq!(field(GATEWAY, AUD, &sha256_b64(b"x")), "link");
    let other = finish(&[8; 32], &response, &keys(), (GATEWAY, AUD, &link()), 999);
    assert_eq!(other.unwrap_err().field.clone().unwrap(), "client_share");
    let unknown = finish(&CLIENT, &response, &keys()[..1], (GATEWAY, AUD, &link()), 999);
    assert_eq!(unknown.unwrap_err().code, Code::SignatureInvalid);
    let late = finish(&CLIENT, &response, &keys(), (GATEWAY, AUD, &link()), 1_000);
    assert_eq!(late.unwrap_err().code, Code::Expired);
}

#[test]
fn a_statement_of_another_type_or_with_more_members_is_refused() {
    let link = link();
    let (client_share, server_share) = (share(&CLIENT), share(&SERVER));
    let binding = Binding {
        session_id: &SESSION,
        client_share: &client_share,
        server_share: &server_share,
        link: &link,
        gateway: GATEWAY,
        aud: AUD,
    };
    let said = payload(&binding, TICKET, 1_000);
    let check = |typ: &str, payload: &str| {
        let text = jws::sign(&SEED, &jws::header(typ, [("kid", Value::str("dev-r"))]), payload.as_bytes());
        check_statement(&text, &keys(), &binding, TICKET, 1_000)
    };
    assert!(check(TYP, &said).is_ok());
    assert!(check("talos-receipt+jwt", &said).is_err());
    assert_eq!(check(TYP, &said.replace("{\"aud\"", "{\"a\":1,\"aud\"")).unwrap_err().code, Code::Malformed);
    assert!(check_statement(&"a".repeat(5_000), &keys(), &binding, TICKET, 1_000).is_err());
}

#[test]
fn the_answer_goes_round_as_json_and_the_key_is_not_printed() {
    let response = answer();
    assert_eq!(Response::from_value(&response.to_value()).unwrap(), response);
    let mut value = response.to_value();
    if let Value::Obj(members) = &mut value {
        members[0].1 = Value::str("AAAA");
    }
    assert_eq!(Response::from_value(&value).unwrap_err().field.clone().unwrap(), "session_id");
    assert_eq!(format!("{:?}", finished(&response).unwrap()), "MacKey");
}

proptest! {
    #[test]
    fn no_share_and_no_statement_panics(peer: [u8; 32], secret: [u8; 32], text in any::<String>()) {
        let link = link();
        let binding = Binding {
            session_id: &SESSION, client_share: &peer, server_share: &peer, link: &link, gateway: GATEWAY, aud: AUD,
        };
        let _ = mac_key(&secret, &peer, &binding);
        prop_assert!(check_statement(&text, &keys(), &binding, TICKET, 1).is_err());
    }
}
