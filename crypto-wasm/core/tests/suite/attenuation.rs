//! A widened child of each kind is refused, both where it is made and, made by someone else, where it is checked.

use talos_core::attenuate::{Narrowed, attenuate, issue};
use talos_core::chain::Chain;
use talos_core::grant::Grant;
use talos_core::json::print;
use talos_core::link::{Link, TYP};
use talos_core::{Code, Error, jws};

use crate::support::{
    AUD, GRANT, NOW_MS, OTHER_AUD, chain_of, did_of, grant, key, narrowed, root, root_claims, trust, with,
};

/// A child that its holder signed without asking us.
fn forged(parent: &str, change: impl FnOnce(&mut Link)) -> String {
    let chain = Chain::parse(parent).unwrap();
    let leaf = chain.leaf().unwrap();
    let mut claims = Link {
        iss: leaf.claims.sub.clone(),
        sub: did_of(3),
        holder: key(3),
        depth: leaf.claims.depth - 1,
        par: Some(leaf.id.clone()),
        ..leaf.claims.clone()
    };
    change(&mut claims);
    format!("{parent}~{}", jws::sign(&[2; 32], &jws::header(TYP, []), print(&claims.value()).as_bytes()))
}

fn verify(chain: &str) -> Result<(), Error> {
    Chain::parse(chain)?.verify(AUD, NOW_MS, &trust())
}

/// Refused by [`attenuate`] and by whoever reads the chain, with this claim.
#[track_caller]
fn widened(grants: &[&str], change: impl Fn(&mut Narrowed), forge: impl Fn(&mut Link), field: &str) {
    let parent = root(2, grants.iter().map(|over| grant(over)).collect());
    let mut child = narrowed(3, Chain::parse(&parent).unwrap().leaf().unwrap().claims.grants.clone());
    change(&mut child);
    let error = attenuate(&[2; 32], &parent, &child).unwrap_err();
    assert_eq!((error.code, error.field.as_deref(), error.link), (Code::DelegationInvalid, Some(field), Some(1)));
    let error = verify(&forged(&parent, forge)).unwrap_err();
    assert_eq!((error.code, error.field.as_deref(), error.link), (Code::DelegationInvalid, Some(field), Some(1)));
}

/// A child with this grant under a parent with that one.
#[track_caller]
fn widened_grant(parent: &str, child: &str) {
    let own = || vec![grant(child)];
    widened(&[parent], |narrowed| narrowed.grants = own(), |link| link.grants = own(), "grants");
    // The other way round is a narrowing, or at least different: the pair is about the direction.
    assert_ne!(grant(parent), grant(child));
}

/// A child whose atom on `p` is this under a parent whose atom on `p` is that.
#[track_caller]
fn widened_atom(parent: &str, child: &str) {
    let arg = |atom: &str| format!(r#"{{"args":{{"p":[{atom}]}}}}"#);
    widened_grant(&arg(parent), &arg(child));
    assert!(attenuate(&[2; 32], &root(2, vec![grant(&arg(parent))]), &narrowed(3, vec![grant(&arg(parent))])).is_ok());
    widened_grant(&arg(parent), "{}"); // leaving the atom out widens too
}

#[test]
fn an_equal_child_is_no_widening() {
    let parent = root(2, vec![grant("{}")]);
    assert!(verify(&forged(&parent, |_| ())).is_ok());
    let made = attenuate(&[2; 32], &parent, &narrowed(3, vec![grant("{}")])).unwrap();
    assert!(verify(&made).is_ok());
    let chain = Chain::parse(&made).unwrap();
    let (parent, leaf) = (chain.root().unwrap(), chain.leaf().unwrap());
    assert_eq!(leaf.claims.aud, parent.claims.aud);
    assert_eq!((leaf.claims.depth, leaf.claims.par.as_deref()), (6, Some(parent.id.as_str())));
}

#[test]
fn another_tool() {
    widened_grant("{}", r#"{"tool":"fs/write"}"#);
}

#[test]
fn the_same_tool_of_another_server() {
    widened_grant("{}", r#"{"tool":"fs2/read"}"#);
}

#[test]
fn another_class() {
    widened_grant("{}", r#"{"classes":["read","write"]}"#);
    widened_grant(r#"{"classes":["write"]}"#, "{}");
}

#[test]
fn another_action() {
    widened_grant("{}", r#"{"actions":["call","list"]}"#);
    widened_grant("{}", r#"{"actions":["list"]}"#);
}

#[test]
fn any_action() {
    widened_grant("{}", r#"{"actions":"*"}"#);
}

#[test]
fn a_wider_resource() {
    widened_grant(r#"{"resource":{"prefix":"/a"}}"#, "{}");
    widened_grant(r#"{"resource":{"prefix":"/a"}}"#, r#"{"resource":{"prefix":"/"}}"#);
    widened_grant(r#"{"resource":{"prefix":"/a"}}"#, r#"{"resource":{"prefix":"/ab"}}"#);
    widened_grant(r#"{"resource":{"exact":"/a"}}"#, r#"{"resource":{"prefix":"/a"}}"#);
    widened_grant(r#"{"resource":{"exact":"/a"}}"#, r#"{"resource":{"exact":"/b"}}"#);
}

#[test]
fn an_eq_atom() {
    widened_atom(r#"{"op":"eq","type":"string","value":"a"}"#, r#"{"op":"eq","type":"string","value":"b"}"#);
    widened_atom(r#"{"op":"eq","type":"string","value":"a"}"#, r#"{"op":"in","type":"string","values":["a","b"]}"#);
    widened_atom(r#"{"op":"eq","type":"string","value":"1"}"#, r#"{"op":"eq","type":"integer","value":1}"#);
}

#[test]
fn an_in_atom() {
    widened_atom(
        r#"{"op":"in","type":"string","values":["a","b"]}"#,
        r#"{"op":"in","type":"string","values":["a","b","c"]}"#,
    );
}

#[test]
fn a_not_in_atom() {
    widened_atom(
        r#"{"op":"not_in","type":"string","values":["a","b"]}"#,
        r#"{"op":"not_in","type":"string","values":["a"]}"#,
    );
}

#[test]
fn a_range_atom() {
    widened_atom(
        r#"{"op":"range","type":"integer","min":1,"max":3}"#,
        r#"{"op":"range","type":"integer","min":1,"max":4}"#,
    );
    widened_atom(
        r#"{"op":"range","type":"integer","min":1,"max":3}"#,
        r#"{"op":"range","type":"integer","min":0,"max":3}"#,
    );
}

#[test]
fn a_pat_atom() {
    widened_atom(
        r#"{"op":"pat","type":"string","pattern":{"prefix":"/a"}}"#,
        r#"{"op":"pat","type":"string","pattern":"any"}"#,
    );
}

#[test]
fn a_subset_atom() {
    widened_atom(
        r#"{"op":"subset","type":"list","of":"string","values":["a"]}"#,
        r#"{"op":"subset","type":"list","of":"string","values":["a","b"]}"#,
    );
}

#[test]
fn a_maxlen_atom() {
    widened_atom(r#"{"op":"maxlen","type":"string","bytes":2}"#, r#"{"op":"maxlen","type":"string","bytes":3}"#);
}

#[test]
fn one_of_two_atoms_on_an_argument() {
    widened_grant(
        r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":9},{"op":"pat","type":"string","pattern":"any"}]}}"#,
        r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":9}]}}"#,
    );
}

#[test]
fn an_atom_moved_to_another_argument() {
    widened_grant(
        r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":9}]}}"#,
        r#"{"args":{"q":[{"op":"maxlen","type":"string","bytes":9}]}}"#,
    );
}

#[test]
fn an_open_grant_under_a_closed_one() {
    widened_grant(r#"{"closed":true}"#, r#"{"closed":false}"#);
}

#[test]
fn a_name_that_a_closed_parent_does_not_know() {
    widened_grant(r#"{"closed":true}"#, r#"{"closed":true,"args":{"p":[{"op":"maxlen","type":"string","bytes":9}]}}"#);
    // Under an open parent, naming an argument narrows.
    let open = root(2, vec![grant("{}")]);
    let child = grant(r#"{"closed":true,"args":{"p":[{"op":"maxlen","type":"string","bytes":9}]}}"#);
    assert!(attenuate(&[2; 32], &open, &narrowed(3, vec![child])).is_ok());
}

#[test]
fn a_grant_that_only_two_grants_of_the_parent_cover_together() {
    let (read, write) = (r#"{"classes":["read"]}"#, r#"{"classes":["write"]}"#);
    let both = || vec![grant(r#"{"classes":["read","write"]}"#)];
    widened(&[read, write], |child| child.grants = both(), |link| link.grants = both(), "grants");
    let parent = root(2, vec![grant(read), grant(write)]);
    assert!(attenuate(&[2; 32], &parent, &narrowed(3, vec![grant(write), grant(read)])).is_ok());
}

#[test]
fn the_refusal_names_the_grant() {
    let parent = root(2, vec![grant("{}")]);
    let child = narrowed(3, vec![grant("{}"), grant(r#"{"classes":["pay"]}"#)]);
    assert_eq!(attenuate(&[2; 32], &parent, &child).unwrap_err().grant, Some(1));
}

#[test]
fn another_audience() {
    let more = || vec![AUD.to_owned(), OTHER_AUD.to_owned(), "https://talos.example/t/third".to_owned()];
    widened(&["{}"], |child| child.aud = Some(more()), |link| link.aud = more(), "aud");
    let fewer = Narrowed { aud: Some(vec![AUD.into()]), ..narrowed(3, vec![grant("{}")]) };
    assert!(attenuate(&[2; 32], &root(2, vec![grant("{}")]), &fewer).is_ok());
}

#[test]
fn a_later_end() {
    widened(&["{}"], |child| child.exp = 2_001, |link| link.exp = 2_001, "exp");
}

#[test]
fn an_earlier_beginning() {
    widened(&["{}"], |child| child.nbf = 999, |link| link.nbf = 999, "nbf");
}

#[test]
fn as_many_delegations_as_the_parent() {
    let parent = Link { depth: 3, ..root_claims(2, vec![grant("{}")]) };
    let parent = issue(&[1; 32], &parent).unwrap();
    for depth in [3, 4, 7] {
        let child = Narrowed { depth: Some(depth), ..narrowed(3, vec![grant("{}")]) };
        assert_eq!(attenuate(&[2; 32], &parent, &child).unwrap_err().field.as_deref(), Some("depth"));
        assert_eq!(verify(&forged(&parent, |link| link.depth = depth)).unwrap_err().field.as_deref(), Some("depth"));
    }
    let child = Narrowed { depth: Some(2), ..narrowed(3, vec![grant("{}")]) };
    assert!(verify(&attenuate(&[2; 32], &parent, &child).unwrap()).is_ok());
}

#[test]
fn a_delegation_below_depth_zero() {
    let parent = issue(&[1; 32], &Link { depth: 0, ..root_claims(2, vec![grant("{}")]) }).unwrap();
    let error = attenuate(&[2; 32], &parent, &narrowed(3, vec![grant("{}")])).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::DelegationInvalid, Some("depth")));
    let forged = forged(&parent, |link| link.depth = 0);
    assert_eq!(verify(&forged).unwrap_err().code, Code::DelegationInvalid);
}

#[test]
fn a_chain_longer_than_the_contract_allows() {
    let longest = chain_of(8);
    assert!(verify(&longest).is_ok());
    assert_eq!(Chain::parse(&longest).unwrap().leaf().unwrap().claims.depth, 0);
    let error = attenuate(&[9; 32], &longest, &narrowed(10, vec![grant("{}")])).unwrap_err();
    assert_eq!(error.code, Code::DelegationInvalid, "no delegation is left");
    let ninth = longest.split('~').next_back().unwrap();
    assert_eq!(Chain::parse(&format!("{longest}~{ninth}")).unwrap_err().code, Code::LimitExceeded);
}

#[test]
fn the_epoch_is_the_signers_own_and_no_widening() {
    // `ep` speaks of the key that signs, and says nothing about the parent's: lower, equal and higher are all fine.
    let parent = issue(&[1; 32], &Link { ep: 5, ..root_claims(2, vec![grant("{}")]) }).unwrap();
    for ep in [0, 5, 9] {
        let child = Narrowed { ep, ..narrowed(3, vec![grant("{}")]) };
        assert!(verify(&attenuate(&[2; 32], &parent, &child).unwrap()).is_ok());
    }
}

#[test]
fn only_the_holder_adds_a_link() {
    let parent = root(2, vec![grant("{}")]);
    let error = attenuate(&[1; 32], &parent, &narrowed(3, vec![grant("{}")])).unwrap_err();
    assert_eq!(error.code, Code::SignatureInvalid);
}

#[test]
fn a_subject_that_is_not_its_keys_is_not_made() {
    let parent = root(2, vec![grant("{}")]);
    let child = Narrowed { sub: did_of(4), ..narrowed(3, vec![grant("{}")]) };
    assert_eq!(attenuate(&[2; 32], &parent, &child).unwrap_err().field.as_deref(), Some("sub"));
    let claims = Link { sub: did_of(4), ..root_claims(2, vec![grant("{}")]) };
    assert_eq!(issue(&[1; 32], &claims).unwrap_err().field.as_deref(), Some("sub"));
    assert_eq!(issue(&[9; 32], &root_claims(2, vec![grant("{}")])).unwrap_err().field.as_deref(), Some("iss"));
    let with_par = Link { par: Some("A".repeat(43)), ..root_claims(2, vec![grant("{}")]) };
    assert_eq!(issue(&[1; 32], &with_par).unwrap_err().field.as_deref(), Some("par"));
}

#[test]
fn what_could_not_be_read_again_is_not_made() {
    let parent = root(2, vec![grant("{}")]);
    let bad = |change: &dyn Fn(&mut Narrowed)| {
        let mut child = narrowed(3, vec![grant("{}")]);
        change(&mut child);
        attenuate(&[2; 32], &parent, &child).unwrap_err()
    };
    assert_eq!(bad(&|child| child.jti = "x".into()).field.as_deref(), Some("jti"));
    assert_eq!(bad(&|child| child.exp = child.nbf).field.as_deref(), Some("exp"));
    assert_eq!(bad(&|child| child.grants = vec![]).field.as_deref(), Some("grants"));
    assert_eq!(bad(&|child| child.aud = Some(vec![])).field.as_deref(), Some("aud"));
    assert_eq!(bad(&|child| child.ep = -1).field.as_deref(), Some("ep"));
    let unordered = [r#"{"tool":"b/x"}"#, r#"{"tool":"a/x"}"#].map(|over| Grant::parse(&with(GRANT, over)).unwrap());
    assert_eq!(issue(&[1; 32], &root_claims(2, unordered.into())).unwrap_err().code, Code::Malformed);
}

#[test]
fn a_link_and_a_chain_stay_within_their_bytes() {
    let values: Vec<String> = (0..40).map(|index| format!("\"{index:0>99}\"")).collect();
    let large =
        grant(&format!(r#"{{"args":{{"p":[{{"op":"in","type":"string","values":[{}]}}]}}}}"#, values.join(",")));
    assert_eq!(issue(&[1; 32], &root_claims(2, vec![large])).unwrap_err().code, Code::LimitExceeded);
    let large =
        grant(&format!(r#"{{"args":{{"p":[{{"op":"in","type":"string","values":[{}]}}]}}}}"#, values[..20].join(",")));
    let mut chain = root(2, vec![large.clone()]);
    let error = loop {
        let holder = u8::try_from(Chain::parse(&chain).unwrap().links().len()).unwrap() + 1;
        match attenuate(&[holder; 32], &chain, &narrowed(holder + 1, vec![large.clone()])) {
            Ok(longer) => chain = longer,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, Code::LimitExceeded);
    assert!(verify(&chain).is_ok() && chain.len() > 12_000, "{}", chain.len());
}
