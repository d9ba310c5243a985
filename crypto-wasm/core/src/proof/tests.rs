use proptest::prelude::*;

use super::*;
use crate::hash::sha256;
use crate::jwk;
use crate::structured::print_signature;

const SEED: [u8; 32] = [7; 32];
const SESSION: [u8; 16] = [3; 16];
const MAC_KEY: [u8; 32] = [4; 32];
const NONCE: [u8; 16] = [5; 16];
const NOW: u64 = 1_800_000_000;
const NOW_MS: u64 = NOW * 1_000;
const BODY: &[u8] = br#"{"tool":"files/read"}"#;

fn key() -> [u8; 32] {
    ed25519::public(&SEED)
}

fn thumbprint() -> String {
    jwk::thumbprint(&key())
}

fn bare() -> Parts<'static> {
    Parts {
        method: "POST",
        target_uri: "https://talos.example/t/default/mcp/files?x=1",
        content_digest: None,
        capability: None,
        ticket: None,
        mcp_session_id: None,
        mcp_method: None,
        mcp_name: None,
        last_event_id: None,
        idempotency_key: None,
        body: Body::Bytes(BODY),
    }
}

fn with_chain() -> Parts<'static> {
    Parts { capability: Some("aaa.bbb.ccc~ddd.eee.fff"), ..bare() }
}

fn with_ticket() -> Parts<'static> {
    Parts { ticket: Some("AWRldi0x"), ..bare() }
}

/// Every optional header present.
#[allow(clippy::needless_pass_by_value)]
fn full(parts: Parts<'static>) -> Parts<'static> {
    Parts {
        mcp_session_id: Some("s-1"),
        mcp_method: Some("tools/call"),
        mcp_name: Some("read"),
        last_event_id: Some("e-1"),
        idempotency_key: Some("i-1"),
        ..parts
    }
}

fn signed(parts: &Parts<'_>) -> Headers {
    sign(parts, &SEED, &thumbprint(), NOW, NOW + 60, &NONCE).unwrap()
}

fn maced(parts: &Parts<'_>, sequence: u64) -> Headers {
    authenticate(parts, &SESSION, &MAC_KEY, NOW, NOW + 60, sequence).unwrap()
}

fn proved<'a>(parts: &Parts<'a>, digest: &'a str) -> Parts<'a> {
    Parts { content_digest: Some(digest), ..parts.clone() }
}

fn checked(parts: &Parts<'_>, headers: &Headers, now_ms: u64) -> Result<Proof, Error> {
    check(&proved(parts, &headers.content_digest), Some(&headers.signature_input), Some(&headers.signature), now_ms)
}

/// Whether the whole proof stands: shape, and signature or MAC.
fn stands(parts: &Parts<'_>, headers: &Headers) -> bool {
    checked(parts, headers, NOW_MS).is_ok_and(|proof| match proof.form {
        Form::SessionMac => proof.authenticated_by(&SESSION, &MAC_KEY).is_ok(),
        _ => proof.signed_by(&key(), &thumbprint()).is_ok_and(|check| check.verify()),
    })
}

/// The field of the `PROOF_INVALID` that `input` gets in place of the right one.
fn refused(parts: &Parts<'_>, input: &str) -> String {
    let headers = signed(parts);
    let headers = Headers { signature_input: input.to_owned(), ..headers };
    let error = checked(parts, &headers, NOW_MS).unwrap_err();
    assert_eq!(error.code, Code::ProofInvalid, "{input}");
    error.field.clone().unwrap()
}

#[test]
fn the_headers_are_the_ones_of_the_page() {
    let headers = signed(&with_chain());
    let expected = format!(
        "talos=(\"@method\" \"@target-uri\" \"content-digest\" \"talos-capability\");created={NOW};expires={};nonce=\"{}\";\
         keyid=\"{}\";alg=\"ed25519\";tag=\"talos-1\"",
        NOW + 60,
        b64::encode(&NONCE),
        thumbprint()
    );
    assert_eq!(headers.signature_input, expected);
    let base = format!(
        "\"@method\": POST\n\"@target-uri\": https://talos.example/t/default/mcp/files?x=1\n\"content-digest\": {}\n\
         \"talos-capability\": aaa.bbb.ccc~ddd.eee.fff\n\"@signature-params\": {}",
        headers.content_digest,
        expected.strip_prefix("talos=").unwrap()
    );
    assert_eq!(headers.signature, print_signature(&ed25519::sign(&SEED, base.as_bytes())));
    let proof = checked(&with_chain(), &headers, NOW_MS).unwrap();
    assert_eq!(proof.base(), base.as_bytes());
    assert_eq!(proof.hash(), b64::encode(&sha256(base.as_bytes())));
    assert_eq!(content_digest(b""), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
}

#[test]
fn the_three_forms_stand() {
    for (parts, form) in [(with_chain(), Form::Signed), (with_ticket(), Form::SessionSigned)] {
        for parts in [full(parts.clone()), parts] {
            let headers = signed(&parts);
            assert_eq!(checked(&parts, &headers, NOW_MS).unwrap().form, form);
            assert!(stands(&parts, &headers));
        }
    }
    for sequence in [0, 1, u64::MAX] {
        let headers = maced(&full(with_ticket()), sequence);
        let proof = checked(&full(with_ticket()), &headers, NOW_MS).unwrap();
        assert_eq!((proof.form, proof.sequence), (Form::SessionMac, Some(sequence)));
        assert_eq!(proof.authenticated_by(&SESSION, &MAC_KEY).unwrap(), sequence);
    }
}

/// One part of a request changed in one byte.
type Change = (&'static str, Box<dyn Fn(&mut Parts<'static>)>);

/// Where a header stands among the parts.
type Slot = for<'a> fn(&'a mut Parts<'static>) -> &'a mut Option<&'static str>;

/// All ways to change one byte of one bound part, to leave a header out, or to add one.
fn changes(parts: &Parts<'static>) -> Vec<Change> {
    fn bytes_of(text: &str) -> Vec<&'static str> {
        let flip = |at: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            &*Box::leak(String::from_utf8(bytes).unwrap().into_boxed_str())
        };
        (0..text.len()).map(flip).collect()
    }
    let mut changes: Vec<Change> = Vec::new();
    for method in bytes_of(parts.method) {
        changes.push(("method", Box::new(move |parts| parts.method = method)));
    }
    for uri in bytes_of(parts.target_uri) {
        changes.push(("target_uri", Box::new(move |parts| parts.target_uri = uri)));
    }
    for at in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[at] ^= 1;
        let body: &'static [u8] = Vec::leak(body);
        changes.push(("body", Box::new(move |parts| parts.body = Body::Bytes(body))));
    }
    let slots: [(&str, Slot); 7] = [
        ("talos-capability", |parts| &mut parts.capability),
        ("talos-ticket", |parts| &mut parts.ticket),
        ("mcp-session-id", |parts| &mut parts.mcp_session_id),
        ("mcp-method", |parts| &mut parts.mcp_method),
        ("mcp-name", |parts| &mut parts.mcp_name),
        ("last-event-id", |parts| &mut parts.last_event_id),
        ("idempotency-key", |parts| &mut parts.idempotency_key),
    ];
    for (name, slot) in slots {
        if let Some(value) = *slot(&mut parts.clone()) {
            for value in bytes_of(value) {
                changes.push((name, Box::new(move |parts| *slot(parts) = Some(value))));
            }
            changes.push((name, Box::new(move |parts| *slot(parts) = None)));
        } else {
            changes.push((name, Box::new(move |parts| *slot(parts) = Some("added"))));
        }
    }
    changes
}

#[test]
fn changing_any_byte_of_any_bound_part_breaks_the_proof() {
    for parts in [with_chain(), full(with_chain()), with_ticket(), full(with_ticket())] {
        let mut proofs = vec![signed(&parts)];
        if parts.ticket.is_some() {
            proofs.push(maced(&parts, 17));
        }
        for headers in proofs {
            assert!(stands(&parts, &headers));
            for (name, change) in changes(&parts) {
                let mut changed = parts.clone();
                change(&mut changed);
                // The attacker may recompute the digest; what was signed covers it.
                let recomputed = match changed.body {
                    Body::Bytes(bytes) => Headers { content_digest: content_digest(bytes), ..headers.clone() },
                    Body::Elsewhere => headers.clone(),
                };
                assert!(!stands(&changed, &headers), "{name}");
                assert!(!stands(&changed, &recomputed), "{name} with its digest");
            }
        }
    }
}

#[test]
fn changing_any_byte_of_the_proof_itself_breaks_it() {
    for headers in [signed(&full(with_ticket())), maced(&full(with_ticket()), 17)] {
        let texts = [&headers.content_digest, &headers.signature_input, &headers.signature];
        for (which, text) in texts.into_iter().enumerate() {
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                let mut changed = headers.clone();
                *[&mut changed.content_digest, &mut changed.signature_input, &mut changed.signature][which] = text;
                assert!(!stands(&full(with_ticket()), &changed), "{which} {at}");
            }
        }
    }
}

#[test]
fn another_nonce_session_or_sequence_breaks_the_proof() {
    let parts = with_ticket();
    let headers = maced(&parts, 17);
    let proof = checked(&parts, &headers, NOW_MS).unwrap();
    assert_eq!(proof.authenticated_by(&[9; 16], &MAC_KEY).unwrap_err().field.clone().unwrap(), "keyid");
    assert_eq!(proof.authenticated_by(&SESSION, &[9; 32]).unwrap_err().field.clone().unwrap(), "signature");
    for sequence in ["18", "1", "170", "0"] {
        let input = headers.signature_input.replace("nonce=\"17\"", &format!("nonce=\"{sequence}\""));
        assert!(!stands(&parts, &Headers { signature_input: input, ..headers.clone() }));
    }
    let other = b64::encode(&[9; 16]);
    let input = headers.signature_input.replace(&b64::encode(&SESSION), &other);
    assert!(!stands(&parts, &Headers { signature_input: input, ..headers }));
    let headers = signed(&parts);
    let input = headers.signature_input.replace(&b64::encode(&NONCE), &other);
    assert!(!stands(&parts, &Headers { signature_input: input, ..headers }));
}

#[test]
fn each_covered_component_must_stand_in_its_place_once() {
    let parts = full(with_chain());
    let input = signed(&parts).signature_input;
    let list = input.split_once(')').unwrap().0.strip_prefix("talos=(").unwrap();
    let names: Vec<&str> = list.split(' ').collect();
    for at in 0..names.len() {
        let mut without = names.clone();
        without.remove(at);
        let name = names[at].trim_matches('"');
        assert_eq!(refused(&parts, &input.replace(list, &without.join(" "))), name, "without");
        let mut twice = names.clone();
        twice.insert(at, names[at]);
        assert!(!refused(&parts, &input.replace(list, &twice.join(" "))).is_empty());
        if at > 0 {
            let mut swapped = names.clone();
            swapped.swap(at - 1, at);
            assert_eq!(refused(&parts, &input.replace(list, &swapped.join(" "))), names[at - 1].trim_matches('"'));
        }
    }
    for extra in ["\"@path\"", "\"cookie\"", "\"@method\";req", ""] {
        assert_eq!(refused(&parts, &input.replace(list, &format!("{list} {extra}"))), "signature-input", "{extra}");
    }
}

#[test]
fn a_header_that_is_covered_but_not_carried_is_refused_and_the_reverse() {
    let headers = signed(&full(with_chain()));
    assert_eq!(refused(&with_chain(), &headers.signature_input), "signature-input");
    let headers = signed(&with_chain());
    assert_eq!(refused(&full(with_chain()), &headers.signature_input), "mcp-session-id");
}

#[test]
fn each_parameter_has_one_place_and_one_spelling() {
    let parts = with_chain();
    let input = signed(&parts).signature_input;
    let replaced = |from: &str, to: &str| {
        let changed = input.replace(from, to);
        assert_ne!(changed, input, "{from}");
        refused(&parts, &changed)
    };
    let created = format!(";created={NOW}");
    let expires = format!(";expires={}", NOW + 60);
    let nonce = format!(";nonce=\"{}\"", b64::encode(&NONCE));
    let keyid = format!(";keyid=\"{}\"", thumbprint());
    // Missing
    assert_eq!(replaced(&created, ""), "created");
    assert_eq!(replaced(&expires, ""), "expires");
    assert_eq!(replaced(&nonce, ""), "nonce");
    assert_eq!(replaced(&keyid, ""), "keyid");
    assert_eq!(replaced(";alg=\"ed25519\"", ""), "alg");
    assert_eq!(replaced(";tag=\"talos-1\"", ""), "alg");
    // Order
    assert_eq!(replaced(&format!("{created}{expires}"), &format!("{expires}{created}")), "created");
    assert_eq!(replaced(&format!("{nonce}{keyid}"), &format!("{keyid}{nonce}")), "nonce");
    // Other spellings and values
    assert_eq!(replaced(&created, &format!(";created=0{NOW}")), "created");
    assert_eq!(replaced(&created, ";created=-1"), "created");
    assert_eq!(replaced(&created, &format!(";created={NOW}.0")), "created");
    assert_eq!(replaced(&created, &format!(";created=\"{NOW}\"")), "created");
    assert_eq!(replaced(&created, &format!("; created={NOW}")), "created");
    assert_eq!(replaced(&expires, ";expires=x"), "expires");
    assert_eq!(replaced(&expires, ";expires=18446744073709551616"), "expires");
    assert_eq!(replaced("alg=\"ed25519\"", "alg=\"hmac-sha256\""), "alg");
    assert_eq!(replaced("alg=\"ed25519\"", "alg=\"ED25519\""), "alg");
    assert_eq!(replaced("tag=\"talos-1\"", "tag=\"talos-2\""), "tag");
    assert_eq!(replaced("tag=\"talos-1\"", "tag=\"talos-1\";x=1"), "tag");
    assert_eq!(replaced("tag=\"talos-1\"", "tag=\"talos-1\" "), "tag");
    // Labels
    assert_eq!(replaced("talos=(", "sig1=("), "signature-input");
    assert_eq!(replaced("talos=(", " talos=("), "signature-input");
    assert_eq!(replaced("talos=(", "talos=( "), "@method");
    assert_eq!(refused(&parts, &format!("{input}, {input}")), "tag");
    assert_eq!(refused(&parts, &format!("a=(\"@method\");created=1, {input}")), "signature-input");
    assert_eq!(refused(&parts, ""), "signature-input");
}

#[test]
fn nonce_and_keyid_have_the_form_of_their_algorithm() {
    let parts = with_ticket();
    let field = |form: Form, nonce: &str, keyid: &str| {
        let params = Params { created: NOW, expires: NOW + 60, nonce: nonce.into(), keyid: keyid.into() };
        check_params(form, &params).unwrap_err().field.clone().unwrap()
    };
    let (nonce, session) = (b64::encode(&NONCE), b64::encode(&SESSION));
    for form in [Form::Signed, Form::SessionSigned] {
        for bad in ["", "17", &nonce[1..], &format!("{nonce}AA"), &format!("{}B", &nonce[..21])] {
            assert_eq!(field(form, bad, &thumbprint()), "nonce", "{bad}");
        }
        for bad in ["", &session, "x"] {
            assert_eq!(field(form, &nonce, bad), "keyid", "{bad}");
        }
    }
    for bad in ["", &nonce, "01", "-1", "+1", "1.0", "18446744073709551616", " 1"] {
        assert_eq!(field(Form::SessionMac, bad, &session), "nonce", "{bad}");
    }
    for bad in ["", &thumbprint(), "x"] {
        assert_eq!(field(Form::SessionMac, "1", bad), "keyid", "{bad}");
    }
    // A chain under a MAC and a ticket under the wrong algorithm.
    let mac = maced(&parts, 1).signature_input.replace("talos-ticket", "talos-capability");
    assert_eq!(refused(&with_chain(), &mac), "alg");
    assert_eq!(authenticate(&with_chain(), &SESSION, &MAC_KEY, NOW, NOW + 60, 1).unwrap_err().code, Code::ProofInvalid);
    let proof = checked(&parts, &signed(&parts), NOW_MS).unwrap();
    assert_eq!(proof.authenticated_by(&SESSION, &MAC_KEY).unwrap_err().field.clone().unwrap(), "alg");
    let proof = checked(&parts, &maced(&parts, 1), NOW_MS).unwrap();
    assert_eq!(proof.signed_by(&key(), &thumbprint()).unwrap_err().field.clone().unwrap(), "alg");
}

#[test]
fn the_signature_must_be_the_named_keys_and_of_its_length() {
    let parts = with_chain();
    let headers = signed(&parts);
    let proof = checked(&parts, &headers, NOW_MS).unwrap();
    let other = ed25519::public(&[8; 32]);
    assert_eq!(proof.signed_by(&other, &jwk::thumbprint(&other)).unwrap_err().field.clone().unwrap(), "keyid");
    assert!(!proof.signed_by(&other, &thumbprint()).unwrap().verify());
    for bytes in [0, 32, 63, 65] {
        let headers = Headers { signature: print_signature(&vec![1; bytes]), ..headers.clone() };
        assert_eq!(checked(&parts, &headers, NOW_MS).unwrap_err().field.clone().unwrap(), "signature");
    }
    let mac = Headers { signature: print_signature(&[1; 64]), ..maced(&with_ticket(), 1) };
    assert_eq!(checked(&with_ticket(), &mac, NOW_MS).unwrap_err().field.clone().unwrap(), "signature");
    // S = L: the byte checks refuse it before any verifier sees it.
    let mut malleable = [1; 64];
    malleable[32..].fill(0xff);
    let headers = Headers { signature: print_signature(&malleable), ..headers };
    let proof = checked(&parts, &headers, NOW_MS).unwrap();
    assert_eq!(proof.signed_by(&key(), &thumbprint()).unwrap_err().field.clone().unwrap(), "signature");
}

#[test]
fn times_are_held_to_the_second() {
    let parts = with_chain();
    let proof = |created, expires| sign(&parts, &SEED, &thumbprint(), created, expires, &NONCE);
    let field = |headers: &Headers, now_ms| checked(&parts, headers, now_ms).unwrap_err().field.clone().unwrap();
    assert_eq!(proof(NOW, NOW).unwrap_err().field.clone().unwrap(), "expires");
    assert_eq!(proof(NOW, NOW - 1).unwrap_err().field.clone().unwrap(), "expires");
    assert_eq!(proof(NOW, NOW + 61).unwrap_err().field.clone().unwrap(), "expires");
    let headers = proof(NOW, NOW + 60).unwrap();
    assert!(checked(&parts, &headers, NOW_MS + 59_999).is_ok());
    assert_eq!(field(&headers, NOW_MS + 60_000), "expires");
    assert!(checked(&parts, &headers, NOW_MS - 5_000).is_ok());
    assert_eq!(field(&headers, NOW_MS - 5_001), "created");
    // What a client would not print is refused by the verifier too.
    let long = headers.signature_input.replace(&format!("expires={}", NOW + 60), &format!("expires={}", NOW + 61));
    assert_eq!(refused(&parts, &long), "expires");
}

#[test]
fn the_digest_is_recomputed_and_always_there() {
    let parts = with_chain();
    let headers = signed(&parts);
    let field = |digest: Option<&str>| {
        let parts = Parts { content_digest: digest, ..parts.clone() };
        let error = check(&parts, Some(&headers.signature_input), Some(&headers.signature), NOW_MS).unwrap_err();
        assert_eq!(error.code, Code::ProofInvalid);
        error.field.clone().unwrap()
    };
    assert_eq!(field(None), "content-digest");
    assert_eq!(field(Some(&content_digest(b"other"))), "content-digest");
    assert_eq!(field(Some(&headers.content_digest.replace("sha-256", "sha-512"))), "content-digest");
    assert_eq!(field(Some(&format!("{0}, {0}", headers.content_digest))), "content-digest");
    assert_eq!(field(Some(&headers.content_digest.replace("=:", ":"))), "content-digest");
    let empty = Parts { body: Body::Bytes(b""), ..with_chain() };
    assert!(stands(&empty, &signed(&empty)));
}

#[test]
fn a_third_party_shows_the_digest_without_the_body() {
    let parts = with_chain();
    let headers = signed(&parts);
    let elsewhere = Parts { body: Body::Elsewhere, ..parts };
    assert!(stands(&elsewhere, &headers));
    let other = Headers { content_digest: content_digest(b"other"), ..headers.clone() };
    assert!(!stands(&elsewhere, &other));
    for digest in ["", "sha-256=:AA==:", "sha-256=::", "x"] {
        let parts = proved(&elsewhere, digest);
        let error = check(&parts, Some(&headers.signature_input), Some(&headers.signature), NOW_MS).unwrap_err();
        assert_eq!(error.field.clone().unwrap(), "content-digest");
    }
}

#[test]
fn the_credential_is_exactly_one_header() {
    assert_eq!(bare().credential().unwrap_err().code, Code::NoCapability);
    let both = Parts { ticket: Some("t"), ..with_chain() };
    assert_eq!(both.credential().unwrap_err().code, Code::Malformed);
    assert_eq!(check(&bare(), None, None, NOW_MS).unwrap_err().code, Code::NoCapability);
    assert_eq!(check(&with_chain(), None, Some("x"), NOW_MS).unwrap_err().field.clone().unwrap(), "signature-input");
    assert_eq!(check(&with_chain(), Some("x"), None, NOW_MS).unwrap_err().field.clone().unwrap(), "signature");
}

#[test]
fn what_no_runtime_sends_is_not_bound() {
    let field = |parts: Parts<'_>| {
        let error = sign(&parts, &SEED, &thumbprint(), NOW, NOW + 60, &NONCE).unwrap_err();
        assert_eq!(error.code, Code::ProofInvalid);
        error.field.clone().unwrap()
    };
    for method in ["", "post", "Post", "PO ST", "POST\n", "ABCDEFGHIJKLMNOPQ"] {
        assert_eq!(field(Parts { method, ..with_chain() }), "@method", "{method}");
    }
    for target_uri in ["", "https://a/b#c", "https://a/b c", "https://a/b?", "https://a/é", "https://a/\n"] {
        assert_eq!(field(Parts { target_uri, ..with_chain() }), "@target-uri", "{target_uri}");
    }
    assert!(stands(
        &Parts { target_uri: "https://a/b??", ..with_chain() },
        &signed(&Parts { target_uri: "https://a/b??", ..with_chain() })
    ));
    for value in ["a  b", "a\tb", "a\nb", "é", "a\u{7f}"] {
        assert_eq!(field(Parts { mcp_name: Some(value), ..with_chain() }), "mcp-name", "{value}");
    }
    let padded = Parts { mcp_name: Some(" \t read \t"), ..with_chain() };
    let plain = Parts { mcp_name: Some("read"), ..with_chain() };
    assert!(stands(&padded, &signed(&plain)));
}

#[test]
fn everything_has_a_bound() {
    let code = |parts: Parts<'_>| sign(&parts, &SEED, &thumbprint(), NOW, NOW + 60, &NONCE).unwrap_err().code;
    let long = |bytes: usize| "a".repeat(bytes);
    assert_eq!(code(Parts { capability: Some(&long(16_385)), ..bare() }), Code::LimitExceeded);
    assert_eq!(code(Parts { mcp_name: Some(&long(2_049)), ..with_chain() }), Code::LimitExceeded);
    assert_eq!(code(Parts { target_uri: &long(4_097), ..with_chain() }), Code::LimitExceeded);
    let error = check(&with_chain(), Some(&long(1_025)), Some("x"), NOW_MS).unwrap_err();
    assert_eq!(error.code, Code::LimitExceeded);
}

proptest! {
    #[test]
    fn no_header_panics(
        input in any::<String>(), signature in any::<String>(), digest in any::<String>(), uri in any::<String>(),
        now_ms: u64,
    ) {
        let parts = Parts { content_digest: Some(&digest), target_uri: &uri, ..with_chain() };
        prop_assert!(check(&parts, Some(&input), Some(&signature), now_ms).is_err());
        let parts = Parts { content_digest: Some(&digest), body: Body::Elsewhere, ..with_ticket() };
        prop_assert!(check(&parts, Some(&input), Some(&signature), now_ms).is_err());
    }

    /// Pieces of a right header in any number and order: what is accepted is the one right text.
    #[test]
    fn only_the_printed_text_is_accepted(
        pieces in prop::collection::vec(0_usize..9, 0..12),
    ) {
        let headers = signed(&with_chain());
        let all: Vec<&str> = headers.signature_input.split_inclusive(';').collect();
        let text: String = pieces.iter().filter_map(|at| all.get(*at).copied()).collect();
        let changed = Headers { signature_input: text.clone(), ..headers.clone() };
        prop_assert_eq!(stands(&with_chain(), &changed), text == headers.signature_input);
    }

    #[test]
    fn every_time_is_answered(created: u64, life in 1_u64..=60, now_ms: u64) {
        let expires = created.saturating_add(life);
        if let Ok(headers) = sign(&with_chain(), &SEED, &thumbprint(), created, expires, &NONCE) {
            let now = now_ms / 1_000;
            let alive = created <= now.saturating_add(5) && now < expires;
            prop_assert_eq!(checked(&with_chain(), &headers, now_ms).is_ok(), alive);
        }
    }
}
