//! Vectors that others published; `TALOS_VECTORS_DIR` names their folder.

use std::path::PathBuf;

use serde_json::Value;
use talos_log::frontier::Frontier;
use talos_log::note::{Key, Note};
use talos_log::{Hash, base64, hash, proof};

fn file(name: &str) -> Option<Value> {
    let Ok(folder) = std::env::var("TALOS_VECTORS_DIR") else {
        println!("skipped: published log vectors {name}: TALOS_VECTORS_DIR is not set");
        return None;
    };
    let bytes = std::fs::read(PathBuf::from(folder).join(name)).unwrap();
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// Some cases use placeholders of 12 bytes for roots: padded, so that equal ones stay equal.
fn padded(value: &Value) -> Hash {
    let bytes = base64::decode(value.as_str().unwrap()).unwrap();
    let mut hash = [0; 32];
    hash[..bytes.len()].copy_from_slice(&bytes);
    hash
}

fn proof_of(case: &Value) -> Option<Vec<Hash>> {
    let Some(hashes) = case["proof"].as_array() else { return Some(Vec::new()) };
    hashes.iter().map(|hash| base64::decode(hash.as_str().unwrap())?.try_into().ok()).collect()
}

fn int(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap_or_else(|| panic!("{name} of {case}"))
}

#[test]
fn inclusion_proofs() {
    let Some(file) = file("merkle/merkle-inclusion.json") else { return };
    let cases = file["vectors"].as_array().unwrap();
    assert_eq!(cases.len(), 98);
    assert!(cases.iter().any(|case| int(case, "leafIdx") == u64::MAX));
    let mut good = 0;
    for case in cases {
        let (index, size) = (int(case, "leafIdx"), int(case, "treeSize"));
        let holds = proof_of(case).is_some_and(|proof| {
            let hash = |name: &str| base64::decode_hash(case[name].as_str().unwrap());
            let (Some(leaf), Some(root)) = (hash("leafHash"), hash("root")) else { return false };
            proof::check_inclusion(index, size, &leaf, &proof, &root).is_ok()
        });
        assert_eq!(holds, case["wantErr"] == false, "{}", case["_path"]);
        good += usize::from(holds);
    }
    assert_eq!(good, 6);
}

#[test]
fn consistency_proofs() {
    let Some(file) = file("merkle/merkle-consistency.json") else { return };
    let cases = file["vectors"].as_array().unwrap();
    assert_eq!(cases.len(), 98);
    let mut good = 0;
    for case in cases {
        let (old, size) = (int(case, "size1"), int(case, "size2"));
        let holds = proof_of(case).is_some_and(|proof| {
            proof::check_consistency(old, size, &padded(&case["root1"]), &padded(&case["root2"]), &proof).is_ok()
        });
        assert_eq!(holds, case["wantErr"] == false, "{}", case["_path"]);
        good += usize::from(holds);
    }
    assert_eq!(good, 6);
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn reference_roots() {
    let Some(file) = file("merkle/rfc6962-roots.json") else { return };
    let mut tree = Frontier::default();
    assert_eq!(tree.root().to_vec(), unhex(&file["empty_root"]));
    let leaves = file["leaf_inputs_hex"].as_array().unwrap();
    assert_eq!(leaves.len(), 8);
    for (leaf, root) in leaves.iter().zip(file["roots_by_size_from_1"].as_array().unwrap()) {
        tree.append(&hash::leaf(&unhex(leaf))).unwrap();
        assert_eq!(tree.root().to_vec(), unhex(root));
    }
}

#[test]
fn notes() {
    let Some(file) = file("c2sp/c2sp-note-examples.json") else { return };
    let vkey = file["signed_note"]["vkey"].as_str().unwrap();
    let key = Key::parse(vkey).unwrap();
    assert_eq!(key.text(), vkey);
    let note = Note::parse(file["signed_note"]["note"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!((note.signatures[0].name, note.signatures[0].id), (key.name.as_str(), key.id));
    let (equation, time) = key.equation(note.text, &note.signatures[0].bytes).unwrap();
    assert_eq!(time, None);
    assert!(crate::verdicts::holds(&equation));

    let note = Note::parse(file["cosigned_checkpoint_shape"].as_str().unwrap().as_bytes()).unwrap();
    let checkpoint = talos_log::checkpoint::Checkpoint::parse(note.text).unwrap();
    assert_eq!((checkpoint.origin, checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.text(), note.text);
    assert_eq!(note.signatures[1].name, "witness.example.com/w1");
    assert_eq!(note.signatures[1].bytes.len(), 72);
}
