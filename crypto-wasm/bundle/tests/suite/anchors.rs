//! Anchors of a bundle, from contracts/vectors/anchors: how they are read, and what they show to whom.

use serde_json::{Value, json};
use talos_bundle::anchors::{Shown, check};
use talos_bundle::bundle::{Anchor, Bundle};
use talos_bundle::trust::{Block, Registry, Trust};
use talos_bundle::verify::Placed;
use talos_bundle::{Step, limits};
use talos_log::base64;
use talos_log::verify::Verdict;

use super::bundles::contract;

/// The checkpoint that the vectors' anchors are of.
const TEXT: &str = "talos.example/meta\n3\nroot\n";

fn meta(text: &'static str, origin: &str) -> Placed<'static> {
    let head = Verdict { origin: origin.to_owned(), size: 3, root: [0; 32], witnesses: Vec::new() };
    Placed { index: 0, text, head }
}

fn case(file: &str, name: &str) -> Value {
    let cases = contract(&format!("vectors/anchors/{file}.json"))["cases"].clone();
    cases.as_array().unwrap().iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("{name}")).clone()
}

fn hex(text: &str) -> Vec<u8> {
    let text = text.trim_start_matches("0x");
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// What is trusted, knowing the registry's code alone.
fn trust() -> Trust {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/evm/registry.ts");
    let module = std::fs::read_to_string(path).unwrap();
    let code = hex(&module.split("REGISTRY_CODE_HASH = \"0x").nth(1).unwrap()[..64]);
    Trust { code: code.try_into().unwrap(), easiest: 0x207f_ffff, ..Trust::default() }
}

fn evm() -> Value {
    case("evm", "a state of forty accounts")["anchor"].clone()
}

/// The bundle that has these anchors.
fn read(anchors: &[Value]) -> Option<Bundle> {
    let file = json!({
        "anchors": anchors, "event": "e", "log_proof": "l", "meta_proof": "m",
        "schema_id": "talos.audit_proof", "schema_version": "v1",
    });
    Bundle::parse(file.to_string().as_bytes()).ok()
}

fn anchor(anchor: &Value) -> Anchor {
    read(core::slice::from_ref(anchor)).unwrap().anchors.remove(0)
}

fn ots(file: &[u8]) -> Anchor {
    let mut text = String::new();
    base64::push(&mut text, file);
    anchor(&json!({ "kind": "ots", "file": text }))
}

fn shown(anchors: &[Anchor], trust: &Trust) -> Result<Vec<Shown>, Step> {
    check(Some(&meta(TEXT, "talos.example/meta")), anchors, trust).map_err(|error| error.step)
}

#[test]
fn an_anchor_is_read_by_every_one_of_its_members() {
    let Anchor::Evm(read_evm) = anchor(&evm()) else { panic!("no chain's") };
    assert_eq!(read_evm.contract.to_vec(), hex(evm()["contract"].as_str().unwrap()));
    assert_eq!(read_evm.publisher.to_vec(), hex(evm()["publisher"].as_str().unwrap()));
    assert_eq!(
        (read_evm.chain_id, read_evm.account_proof.len()),
        (1, evm()["account_proof"].as_array().unwrap().len())
    );
    for member in evm().as_object().unwrap().keys() {
        let mut without = evm();
        without.as_object_mut().unwrap().remove(member);
        assert_eq!(read(&[without]), None, "without {member}");
    }
    let node = "AAAA".repeat(limits::PIECE_CHARS / 4);
    let address = "0x".to_owned() + &"aa".repeat(20);
    for (member, takes, value) in [
        ("chain_id", false, json!(0)),
        ("chain_id", false, json!(-1)),
        ("chain_id", false, json!("1")),
        ("contract", true, json!(address)),
        ("contract", false, json!("aa".repeat(20))),
        ("contract", false, json!("0x".to_owned() + &"aa".repeat(19))),
        ("contract", false, json!("0x".to_owned() + &"AA".repeat(20))),
        ("contract", false, json!(address.clone() + "a")),
        ("publisher", false, json!("0x".to_owned() + &"aa".repeat(21))),
        ("header", true, json!(node)),
        ("header", false, json!(node.clone() + "AAAA")),
        ("header", false, json!("")),
        ("header", false, json!("AAA")),
        ("account_proof", true, json!(vec!["AAAA"; limits::NODES])),
        ("account_proof", false, json!(vec!["AAAA"; limits::NODES + 1])),
        ("account_proof", false, json!([])),
        ("account_proof", false, json!("AAAA")),
        ("storage_proof", true, json!([node])),
        ("storage_proof", false, json!([node.clone() + "AAAA"])),
        ("storage_proof", false, json!([1])),
        ("more", false, json!(1)),
        ("aaaa", false, json!(1)),
    ] {
        let mut changed = evm();
        changed[member] = value.clone();
        assert_eq!(read(&[changed]).is_some(), takes, "{member} {value}");
    }
    let text = |more: &str| {
        let members =
            r#""anchors":[],"event":"e","log_proof":"l","schema_id":"talos.audit_proof","schema_version":"v1""#;
        format!("{{{members}{more}}}")
    };
    assert!(Bundle::parse(text("").as_bytes()).is_ok() && Bundle::parse(text(",\"z\":1").as_bytes()).is_err());
    let file = "AAAA".repeat(limits::FILE_CHARS / 4);
    assert!(read(&[json!({ "kind": "ots", "file": file })]).is_some());
    assert!(read(&[json!({ "kind": "ots", "file": file.clone() + "AAAA" })]).is_none());
    assert!(read(&[json!({ "kind": "ots", "file": "AAAA", "more": 1 })]).is_none());
    assert!(read(&vec![evm(); limits::ANCHORS]).is_some());
    assert!(read(&vec![evm(); limits::ANCHORS + 1]).is_none());
}

#[test]
fn a_block_is_verified_only_where_the_caller_knows_it() {
    let anchors = [anchor(&evm())];
    let verified = |blocks: &[(u64, u64, [u8; 32])]| {
        let block = |(chain_id, number, hash): &(u64, u64, [u8; 32])| Block {
            chain_id: *chain_id,
            number: *number,
            hash: *hash,
        };
        let trust = Trust { blocks: blocks.iter().map(block).collect(), ..trust() };
        shown(&anchors, &trust)
            .map(|shown| matches!(shown[..], [Shown::Evm { verified: true, number: 18_000_000, .. }]))
    };
    let hash: [u8; 32] =
        hex(case("evm", "a state of forty accounts")["block_hash"].as_str().unwrap()).try_into().unwrap();
    assert_eq!(verified(&[]), Ok(false));
    assert_eq!(verified(&[(1, 18_000_000, hash)]), Ok(true));
    assert_eq!(verified(&[(2, 18_000_000, hash)]), Ok(false), "of another chain");
    assert_eq!(verified(&[(1, 18_000_001, hash)]), Ok(false), "at another number");
    assert_eq!(verified(&[(1, 18_000_000, [7; 32])]), Err(Step::Anchor), "another block");
    assert_eq!(verified(&[(2, 18_000_000, [7; 32]), (1, 17_000_000, [7; 32])]), Ok(false), "others elsewhere");
}

#[test]
fn an_anchor_is_of_this_checkpoint_log_registry_and_code() {
    let anchors = [anchor(&evm())];
    let step =
        |meta: &Placed<'_>, trust: &Trust| check(Some(meta), &anchors, trust).map(|_| ()).map_err(|error| error.step);
    assert_eq!(step(&meta(TEXT, "talos.example/meta"), &trust()), Ok(()));
    assert_eq!(step(&meta("talos.example/meta\n4\nroot\n", "talos.example/meta"), &trust()), Err(Step::Anchor));
    assert_eq!(step(&meta(TEXT, "talos.example/other"), &trust()), Err(Step::Anchor));
    assert_eq!(step(&meta(TEXT, "talos.example/meta"), &Trust { code: [7; 32], ..trust() }), Err(Step::Anchor));
    let Anchor::Evm(evm) = &anchors[0] else { panic!("no chain's") };
    let own = Registry { chain_id: 1, contract: evm.contract, publisher: evm.publisher };
    let other = [
        Registry { chain_id: 2, ..own.clone() },
        Registry { contract: [7; 20], ..own.clone() },
        Registry { publisher: [7; 20], ..own.clone() },
    ];
    for registry in other.clone() {
        let trust = Trust { registries: vec![registry], ..trust() };
        assert_eq!(step(&meta(TEXT, "talos.example/meta"), &trust), Err(Step::Anchor));
    }
    let trust = Trust { registries: [other.to_vec(), vec![own]].concat(), ..trust() };
    assert_eq!(step(&meta(TEXT, "talos.example/meta"), &trust), Ok(()));
}

/// A Bitcoin header of this root that the easiest target takes.
fn mined(root: &[u8]) -> Vec<u8> {
    let header = |nonce: u32| {
        let bits = 0x207f_ffff_u32.to_le_bytes();
        [&[1, 0, 0, 0], [0; 32].as_slice(), root, &9_u32.to_le_bytes(), &bits, &nonce.to_le_bytes()].concat()
    };
    let header_of = |nonce| talos_anchor::bitcoin::Header::parse(&header(nonce), 0x207f_ffff);
    (0..100).find(|nonce| header_of(*nonce).is_ok()).map(header).unwrap()
}

#[test]
fn a_file_is_of_this_checkpoint_and_its_block_is_the_one_that_is_known() {
    let at_once = case("ots", "a block at once");
    let file = hex(at_once["file"].as_str().unwrap());
    let root = hex(at_once["digest"].as_str().unwrap());
    let headers = |headers: &[(u64, Vec<u8>)]| {
        let trust = Trust { headers: headers.to_vec(), ..trust() };
        shown(&[ots(&file)], &trust).map(|shown| match &shown[..] {
            [Shown::Bitcoin { height: 1, block }] => block.map(|(_, time)| time),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(headers(&[]), Ok(None));
    assert_eq!(headers(&[(1, mined(&root))]), Ok(Some(9)));
    assert_eq!(headers(&[(2, mined(&root))]), Ok(None), "of another height");
    assert_eq!(headers(&[(1, mined(&[7; 32]))]), Err(Step::Anchor), "another block");
    assert_eq!(headers(&[(1, mined(&root)), (1, mined(&[7; 32]))]), Err(Step::Anchor), "two blocks of one height");
    assert_eq!(headers(&[(1, vec![0; 80])]), Err(Step::Anchor), "no work");
    let harder = Trust { easiest: 0x1d00_ffff, headers: vec![(1, mined(&root))], ..trust() };
    assert_eq!(shown(&[ots(&file)], &harder), Err(Step::Anchor), "less work than is asked for");
    let mut other = file.clone();
    other[33] ^= 1;
    assert_eq!(shown(&[ots(&other)], &trust()), Err(Step::Anchor));
    assert_eq!(shown(&[ots(&file[..file.len() - 1])], &trust()), Err(Step::Anchor));
    let waits = hex(case("ots", "pending at once")["file"].as_str().unwrap());
    assert!(matches!(&shown(&[ots(&waits)], &trust()).unwrap()[..], [Shown::Pending(_)]));
}

#[test]
fn what_is_demanded_is_verified_and_not_only_there() {
    let case_of = case("evm", "a state of forty accounts");
    let hash: [u8; 32] = hex(case_of["block_hash"].as_str().unwrap()).try_into().unwrap();
    let at_once = case("ots", "a block at once");
    let file = ots(&hex(at_once["file"].as_str().unwrap()));
    let header = (1, mined(&hex(at_once["digest"].as_str().unwrap())));
    let both = [anchor(&evm()), file];
    let blocks = vec![Block { chain_id: 1, number: 18_000_000, hash }];
    for (evm, ots) in [(true, false), (false, true), (true, true)] {
        let demands = Trust { evm, ots, ..trust() };
        assert_eq!(shown(&[], &demands), Err(Step::AnchorMissing));
        assert_eq!(check(None, &both, &demands).map_err(|error| error.step), Err(Step::AnchorMissing));
        assert_eq!(shown(&both, &demands), Err(Step::AnchorMissing), "nothing is known");
        let known = |blocks: &[Block], headers: &[(u64, Vec<u8>)]| {
            let trust = Trust { blocks: blocks.to_vec(), headers: headers.to_vec(), ..demands.clone() };
            shown(&both, &trust).is_ok()
        };
        assert_eq!(known(&blocks, &[]), !ots);
        assert_eq!(known(&[], core::slice::from_ref(&header)), !evm);
        assert!(known(&blocks, core::slice::from_ref(&header)));
    }
}

#[test]
fn what_is_trusted_is_read_line_by_line_or_not_at_all() {
    let hash = "ab".repeat(32);
    let address = "cd".repeat(20);
    let lines = [
        format!("code {hash}"),
        "easiest 7".to_owned(),
        format!("block 1 2 {hash}"),
        format!("registry 3 {address} {address}"),
        "header 4 00ff".to_owned(),
        "require evm".to_owned(),
        "require ots".to_owned(),
    ];
    let trust = Trust::parse(&lines.join("\n")).unwrap();
    assert_eq!((trust.code, trust.easiest, trust.evm, trust.ots), ([0xab; 32], 7, true, true));
    assert_eq!(trust.blocks, [Block { chain_id: 1, number: 2, hash: [0xab; 32] }]);
    assert_eq!(trust.registries, [Registry { chain_id: 3, contract: [0xcd; 20], publisher: [0xcd; 20] }]);
    assert_eq!(trust.headers, [(4, vec![0, 0xff])]);
    let only = |line: &str| Trust::parse(line).is_some_and(|trust| trust != Trust::default());
    assert!(lines.iter().all(|line| only(line)));
    assert_eq!(Trust::parse("require evm").map(|trust| (trust.evm, trust.ots)), Some((true, false)));
    assert_eq!(Trust::parse("require ots").map(|trust| (trust.evm, trust.ots)), Some((false, true)));
    for line in [
        "code ab",
        "code",
        "easiest 4294967296",
        "easiest x",
        "header 4 0",
        "header 4 0g",
        "header 4 FF",
        "header 04 ff",
        "require",
        "require both",
        "x",
        " require evm",
    ] {
        assert_eq!(Trust::parse(line), None, "{line}");
    }
    assert_eq!(Trust::parse(&format!("block 1 {hash}")), None);
    assert_eq!(Trust::parse(&format!("{}\nx", lines.join("\n"))), None, "one of them cannot be read");
}
