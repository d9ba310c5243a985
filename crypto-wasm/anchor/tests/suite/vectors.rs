//! contracts/vectors/anchors: written without this library.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use talos_anchor::evm::{Evidence, Header};
use talos_anchor::ots::{self, Claim, File};
use talos_anchor::{Error, bitcoin};

pub fn cases(name: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/vectors/anchors").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_slice(&bytes).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

pub fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("no {name} in {case}"))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

pub fn bytes(case: &Value, name: &str) -> Vec<u8> {
    let text = text(case, name).trim_start_matches("0x");
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

pub fn base64(text: &str) -> Vec<u8> {
    let place = |char: u8| match char {
        b'A'..=b'Z' => char - b'A',
        b'a'..=b'z' => char - b'a' + 26,
        b'0'..=b'9' => char - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(place).collect();
    let mut out = Vec::new();
    for four in digits.chunks(4) {
        let word = four.iter().fold(0_u32, |sum, digit| (sum << 6) | u32::from(*digit)) << (6 * (4 - four.len()));
        out.extend_from_slice(&word.to_be_bytes()[1..four.len()]);
    }
    out
}

/// A case of `evm.json` as bytes.
pub struct Shown {
    pub header: Vec<u8>,
    pub account: Vec<Vec<u8>>,
    pub storage: Vec<Vec<u8>>,
    contract: [u8; 20],
    code_hash: [u8; 32],
    publisher: [u8; 20],
    log_id: [u8; 32],
    digest: [u8; 32],
}

impl Shown {
    pub fn of(case: &Value) -> Self {
        let anchor = &case["anchor"];
        let nodes = |name: &str| {
            anchor[name].as_array().unwrap().iter().map(|node| base64(node.as_str().unwrap())).collect::<Vec<_>>()
        };
        Self {
            header: base64(text(anchor, "header")),
            account: nodes("account_proof"),
            storage: nodes("storage_proof"),
            contract: bytes(anchor, "contract").try_into().unwrap(),
            code_hash: registry(),
            publisher: bytes(anchor, "publisher").try_into().unwrap(),
            log_id: bytes(case, "log_id").try_into().unwrap(),
            digest: bytes(case, "digest").try_into().unwrap(),
        }
    }

    pub fn verify(&self) -> Result<Header, Error> {
        let nodes = |list: &[Vec<u8>]| list.iter().map(|node| node.clone().leak() as &[u8]).collect::<Vec<_>>();
        Evidence {
            header: &self.header,
            account_proof: &nodes(&self.account),
            storage_proof: &nodes(&self.storage),
            contract: &self.contract,
            code_hash: &self.code_hash,
            publisher: &self.publisher,
            log_id: &self.log_id,
            digest: &self.digest,
        }
        .verify()
    }
}

/// The code hash that contracts/evm/registry.ts names.
fn registry() -> [u8; 32] {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/evm/registry.ts");
    let module = std::fs::read_to_string(path).unwrap();
    let text = module.split("REGISTRY_CODE_HASH = \"0x").nth(1).unwrap()[..64].to_owned();
    bytes(&json!({ "hash": text }), "hash").try_into().unwrap()
}

#[test]
fn evm() {
    for case in cases("evm.json") {
        match Shown::of(&case).verify() {
            Ok(header) => {
                assert_eq!("OK", text(&case, "expect"), "{}", case["name"]);
                assert_eq!(format!("0x{}", hex(&header.hash)), text(&case, "block_hash"));
                assert_eq!(json!(header.number), case["block_number"]);
                assert_eq!(json!(header.time), case["time_seconds"]);
            }
            Err(error) => assert_eq!(error.code.as_str(), text(&case, "expect"), "{}: {error}", case["name"]),
        }
    }
}

/// No byte of valid evidence can be another.
#[test]
fn every_byte_of_evidence_counts() {
    for case in cases("evm.json").iter().filter(|case| case["expect"] == "OK") {
        let good = Shown::of(case);
        let hash = good.verify().unwrap().hash;
        for at in 0..good.header.len() {
            let mut shown = Shown::of(case);
            shown.header[at] ^= 1 << (at % 8);
            // Fields that are not read have another hash: the caller's comparison refuses the block.
            assert!(shown.verify().map_or(true, |header| header.hash != hash));
        }
        for node in 0..good.storage.len() {
            for at in 0..good.storage[node].len() {
                let mut shown = Shown::of(case);
                shown.storage[node][at] ^= 1 << (at % 8);
                assert!(shown.verify().is_err());
            }
        }
    }
}

#[test]
fn files() {
    for case in cases("ots.json") {
        match File::read(&bytes(&case, "file")) {
            Ok(file) => {
                assert_eq!("OK", text(&case, "expect"), "{}", case["name"]);
                assert_eq!(hex(&file.digest), text(&case, "digest"));
                let made = file.attestations.iter().map(|made| match &made.claim {
                    Claim::Bitcoin { height, merkle_root } => {
                        json!({ "kind": "bitcoin", "height": height, "merkle_root": hex(merkle_root) })
                    }
                    Claim::Pending { uri } => {
                        json!({ "kind": "pending", "uri": uri, "commitment": hex(&made.message) })
                    }
                    Claim::Unknown { tag } => json!({ "kind": "unknown", "tag": hex(tag) }),
                });
                let made = made.collect();
                assert_eq!(Value::Array(made), case["attestations"], "{}", case["name"]);
            }
            Err(error) => assert_eq!(error.code.as_str(), text(&case, "expect"), "{}: {error}", case["name"]),
        }
    }
}

#[test]
fn calendars() {
    for case in cases("calendars.json") {
        let made = if case["from"].is_string() {
            let (from, at) = (bytes(&case, "from"), bytes(&case, "commitment"));
            ots::upgrade(&from, text(&case, "uri"), &at, &bytes(&case, "answer"))
        } else {
            let (digest, nonce) =
                (bytes(&case, "digest").try_into().unwrap(), bytes(&case, "nonce").try_into().unwrap());
            assert_eq!(hex(&ots::commitment(&digest, &nonce)), text(&case, "commitment"));
            let list = case["answers"].as_array().unwrap();
            let answers: Vec<_> = list.iter().map(|answer| bytes(&json!({ "of": answer }), "of")).collect();
            ots::file(&digest, &nonce, &answers.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        match made {
            Ok(file) => assert_eq!(hex(&file), text(&case, "file"), "{}", case["name"]),
            Err(error) => assert_eq!(error.code.as_str(), text(&case, "expect"), "{}: {error}", case["name"]),
        }
    }
}

#[test]
fn headers() {
    for case in cases("headers.json") {
        let easiest = u32::try_from(case["easiest"].as_u64().unwrap()).unwrap();
        match bitcoin::Header::parse(&bytes(&case, "header"), easiest) {
            Ok(mut header) => {
                assert_eq!("OK", text(&case, "expect"), "{}", case["name"]);
                header.hash.reverse();
                assert_eq!(hex(&header.hash), text(&case, "hash"));
                assert_eq!(hex(&header.merkle_root), text(&case, "merkle_root"));
                assert_eq!(json!(header.time), case["time_seconds"]);
            }
            Err(error) => assert_eq!(error.code.as_str(), text(&case, "expect"), "{}: {error}", case["name"]),
        }
    }
}

#[test]
fn codes_are_those_of_the_contract() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/errors.json");
    let errors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for code in talos_anchor::Code::ALL {
        assert!(errors[code.as_str()].is_object(), "{}", code.as_str());
    }
}
