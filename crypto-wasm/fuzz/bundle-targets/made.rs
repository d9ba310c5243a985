//! Bundles whose hashes are made to fit: the bytes say what the event and the anchors are, and how large the trees.
//!
//! `SIZES` `\n` `EVENT` (`\n` `ANCHOR`)*: four bytes (size of the log, index in it, the same of the meta-log, where size 0 is no
//! meta-log), the event without its hash, and anchors as [`super::chain`] reads them.

use serde_json::Value;
use talos_bundle::anchors::{Shown, check};
use talos_bundle::bundle::{Anchor, Bundle};
use talos_bundle::trust::Trust;
use talos_bundle::verify::{Pending, read};
use talos_bundle::{event, limits};
use talos_log::note::{Equation, Key, Kind};
use talos_log::{Hash, base64, hash};

use super::{chain, naive, whole};

const LOG: &str = "talos.example/log/a";
pub const META: &str = "talos.example/meta";

fn key(name: &str, kind: Kind, byte: u8) -> Key {
    Key::new(name, kind, &[byte; 32]).expect("a key")
}

fn keys() -> [Key; 3] {
    [key(LOG, Kind::Ed25519, 1), key(META, Kind::Ed25519, 2), key("w.example", Kind::Cosignature, 3)]
}

/// One witness, which is asked for.
fn policy() -> String {
    let [log, meta, witness] = keys().map(|key| key.text());
    format!("log {log}\nlog {meta}\nwitness w {witness}\nquorum w\n")
}

fn base64_of(parts: &[&[u8]]) -> String {
    let mut text = String::new();
    base64::push(&mut text, &parts.concat());
    text
}

/// Root and path of leaf `at` in a tree of `size` leaves of which the others are nobody's (RFC 6962, 2.1.1).
fn tree(leaf: &[u8], at: usize, from: usize, size: usize) -> (Hash, Vec<Hash>) {
    if size == 1 {
        let other = [u8::try_from(from).unwrap_or(0)];
        return (hash::leaf(if from == at { leaf } else { &other }), Vec::new());
    }
    let left = size.next_power_of_two() / 2;
    let (one, other) = (tree(leaf, at, from, left), tree(leaf, at, from + left, size - left));
    let (mut path, sibling) = if at < from + left { (one.1, other.0) } else { (other.1, one.0) };
    path.push(sibling);
    (hash::node(&one.0, &other.0), path)
}

/// The proof file of a leaf, its checkpoint signed by these keys, and the checkpoint's text.
fn proof(leaf: &[u8], origin: &str, size: u8, at: u8, signers: &[Key]) -> (String, String) {
    let size = 1 + usize::from(size % 32);
    let at = usize::from(at) % size;
    let (root, path) = tree(leaf, at, 0, size);
    let text = format!("{origin}\n{size}\n{}\n", base64_of(&[&root]));
    let mut file = format!("c2sp.org/tlog-proof@v1\nindex {at}\n");
    for hash in path {
        file.push_str(&format!("{}\n", base64_of(&[&hash])));
    }
    file.push_str(&format!("\n{text}\n"));
    for key in signers {
        let time: &[u8] = if key.kind == Kind::Cosignature { &[0, 0, 0, 0, 0x69, 0x55, 0xb9, 0] } else { &[] };
        file.push_str(&format!("\u{2014} {} {}\n", key.name, base64_of(&[&key.id, time, &[9; 64]])));
    }
    (file, text)
}

/// The event with the hash of what it is without it; the last member too, whatever its name.
fn sealed(event: &str) -> Option<String> {
    let Value::Object(mut members) = serde_json::from_str(event).ok()? else { return None };
    let hash = hash::of(&[event.as_bytes()]);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    members.insert("event_hash".to_owned(), Value::from(hex)).is_none().then_some(())?;
    let members: Vec<(&str, Value)> = members.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Some(naive::object(&members))
}

/// Runs one bundle.
pub fn run(parts: &[u8]) {
    let Some((&[log_size, log_at, meta_size, meta_at, b'\n'], rest)) = parts.split_first_chunk() else { return };
    let mut lines = rest.split(|byte| *byte == b'\n');
    let Some(text) = lines.next().and_then(|line| core::str::from_utf8(line).ok()) else { return };
    if !naive::is_canonical(text) {
        return;
    }
    let Some(leaf) = sealed(text) else { return };
    let value: Value = serde_json::from_str(text).expect("canonical JSON");
    let of = |name: &str, known: &[&str]| value[name].as_str().is_some_and(|text| known.contains(&text));
    let is_event = of("schema_id", &["talos.audit_event"]) && of("schema_version", &["v1", "v2"]);
    assert_eq!(event::check(&leaf).is_ok(), is_event && leaf.len() <= limits::EVENT_BYTES, "{leaf}");
    if !is_event {
        return;
    }
    let [log, meta, witness] = keys();
    let founded = meta_size > 0;
    let (log_proof, checkpoint) = if founded {
        proof(leaf.as_bytes(), LOG, log_size, log_at, &[log])
    } else {
        proof(leaf.as_bytes(), LOG, log_size, log_at, &[log, witness.clone()])
    };
    let meta_proof = founded.then(|| proof(checkpoint.as_bytes(), META, meta_size, meta_at, &[meta, witness]));
    let digest = meta_proof.as_ref().map(|(_, text)| hash::of(&[text.as_bytes()]));
    let anchors =
        digest.map(|digest| lines.take(limits::ANCHORS).filter_map(|line| chain::anchor(line, &digest)).collect());
    let bundle = Bundle {
        event: leaf,
        log_proof,
        meta_proof: meta_proof.map(|(file, _)| file),
        anchors: anchors.unwrap_or_default(),
    };
    let file = whole::file(&bundle);
    assert_eq!(Bundle::parse(file.as_bytes()).as_ref(), Ok(&bundle));
    holds(&bundle, &file);
}

/// What was asked of the curve, and what every anchor shows.
fn prove(file: &[u8], signed: Option<&[Equation]>, trust: &Trust) -> Option<(Bundle, Vec<Equation>, Vec<Shown>)> {
    let policy = policy();
    let bundle = read(file, policy.as_bytes()).ok()?;
    let pending = Pending::new(&bundle, policy.as_bytes()).ok()?;
    let asked: Vec<Equation> = pending.equations().cloned().collect();
    let holds = |equation: &Equation| signed.is_none_or(|signed| signed.contains(equation));
    let proved = pending.finish(&asked.iter().map(holds).collect::<Vec<_>>()).ok()?;
    let shown = check(proved.meta.as_ref(), proved.anchors, trust).ok()?;
    Some((bundle.clone(), asked, shown))
}

fn holds(bundle: &Bundle, file: &str) {
    let file = file.as_bytes();
    let trust = chain::trust(&bundle.anchors);
    let Some((_, signed, shown)) = prove(file, None, &trust) else {
        // Only an anchor can be wrong with it.
        let bare = Bundle { anchors: Vec::new(), ..bundle.clone() };
        assert!(prove(whole::file(&bare).as_bytes(), None, &trust).is_some(), "made to fit, and refused");
        return;
    };
    assert_eq!(signed.len(), if bundle.meta_proof.is_some() { 3 } else { 2 });
    for missing in 0..signed.len() {
        let others: Vec<Equation> = [&signed[..missing], &signed[missing + 1..]].concat();
        assert!(prove(file, Some(&others), &trust).is_none(), "without signature {missing}");
    }
    let evm = |shown: &[Shown]| shown.iter().filter(|one| matches!(one, Shown::Evm { verified: true, .. })).count();
    let made = bundle.anchors.iter().filter(|anchor| matches!(anchor, Anchor::Evm(_))).count();
    assert_eq!(evm(&shown), made, "each block is known");
    assert!(chain::forked(&trust).is_none_or(|trust| prove(file, None, &trust).is_none()), "another block");
    let at = file.iter().fold(0, |sum, byte| (sum * 31 + usize::from(*byte)) % file.len());
    let mut changed = file.to_vec();
    changed[at] ^= 1 << (at % 8);
    let Some((again, _, shown)) = prove(&changed, Some(&signed), &trust) else { return };
    // Nothing covers which chain it is, nor what calendars promise; the first is then a block that nobody knows.
    assert_eq!((&again.event, &again.log_proof), (&bundle.event, &bundle.log_proof), "byte {at}");
    assert_eq!(again.meta_proof, bundle.meta_proof, "byte {at}");
    let same = |(one, other): (&Anchor, &Anchor)| one == other || matches!(one, Anchor::Ots(_));
    let unchanged = again.anchors.len() == bundle.anchors.len() && again.anchors.iter().zip(&bundle.anchors).all(same);
    assert!(unchanged || evm(&shown) < made, "byte {at}");
}
