/** The verifier of proof bundles: one spelling, the event, both proofs, and what anchors show to whom. */
import { type Area, swap } from "./list.ts";

const FILES = "bundle-suite bundles:: anchors:: fuzz_replay::";

export const bundle: Area[] = [
  {
    file: "crypto-wasm/bundle/src/bundle.rs",
    by: FILES,
    mutants: [
      swap("a bundle is bounded", "if «bytes.len() > BUNDLE_BYTES» {", "false"),
      swap(
        "anchors are bounded",
        '«items(named(members.next(), "anchors")?, 0, ANCHORS)?»;',
        'items(named(members.next(), "anchors")?, 0, usize::MAX)?',
      ),
      swap("the log's proof is bounded", 'text(named(members.next(), "log_proof")?, «PROOF_BYTES»)?', "usize::MAX", {
        equivalent: "a proof file is held to the same bound where it is read (log/src/proof_file.rs)",
      }),
      swap("the meta-log's proof is bounded", "text(value, «PROOF_BYTES»)?", "usize::MAX", {
        equivalent: "a proof file is held to the same bound where it is read (log/src/proof_file.rs)",
      }),
      swap(
        "its schema",
        'text(named(next, "schema_id")?, 64)? == "talos.audit_proof"',
        'text(named(next, "schema_id")?, 64).is_some()',
      ),
      swap(
        "its version",
        'text(named(members.next(), "schema_version")?, 64)? == "v1"',
        'text(named(members.next(), "schema_version")?, 64).is_some()',
      ),
      swap("an anchor is of the meta-log", "meta_proof.is_some() || anchors.is_empty()", "true"),
      swap("no further members", "known && founded && «members.next().is_none()»", "true"),
      swap("a member has its name", "|member| «member.name == name»)", "true"),
      swap("a text is not empty", "|text| «(1..=most).contains(&text.len())»", "text.len() <= most"),
      swap("a text is bounded", "|text| «(1..=most).contains(&text.len())»", "!text.is_empty()", {
        equivalent: "the proofs are held to their bound again, and a schema is compared with shorter words",
      }),
      swap("a list is bounded", "(least..=most).contains(&items.len())", "items.len() >= least"),
      swap("a proof has a node", "(least..=most).contains(&items.len())", "items.len() <= most"),
      swap("bytes are not empty", "|text| «(4..=most).contains(&text.len())»", "text.len() <= most"),
      swap("bytes are bounded", "|text| «(4..=most).contains(&text.len())»", "text.len() >= 4"),
      swap("an address begins with 0x", 'value.text()?.strip_prefix("0x")?', 'value.text()?.trim_start_matches("0x")'),
      swap("a chain has a number above 0", "|id| «*id > 0»", "true"),
      swap("an anchor: no further members", "«members.next().is_none()».then_some(read)", "true"),
    ],
  },
  {
    file: "crypto-wasm/bundle/src/event.rs",
    by: "bundle event::",
    mutants: [
      swap("an event is bounded", "if «leaf.len() > EVENT_BYTES» {", "false"),
      swap("an event's schema", 'text("schema_id") != Some(SCHEMA_ID)', "false"),
      swap("an event's version", '!matches!(text("schema_version"), Some("v1" | "v2"))', "false"),
      swap("the hash is of the others", "if «hex == claimed» { Ok(()) }", "true"),
      swap("the comma before a last member", "let last = «at + 1 == members.len()»;", "false", {
        equivalent: "an event has a schema_id, which stands behind; the function is right without knowing that",
      }),
      swap("the comma after another", "let last = «at + 1 == members.len()»;", "true"),
    ],
  },
  {
    file: "crypto-wasm/bundle/src/json.rs",
    by: "bundle json::",
    mutants: [
      swap("nothing behind the value", "(«reader.at == text.len()»).then_some(value)", "true"),
      swap("nesting is bounded", "if «self.open > DEPTH» { None }", "false"),
      swap("names rise", "«members.last().is_none_or(rises)» ||", "members.is_empty() || !members.is_empty()"),
      swap(
        "no name twice",
        "«last.name.encode_utf16().cmp(name.encode_utf16()) == Ordering::Less»",
        "last.name.encode_utf16().cmp(name.encode_utf16()) != Ordering::Greater",
      ),
      swap(
        "names rise in UTF-16",
        "«last.name.encode_utf16().cmp(name.encode_utf16()) == Ordering::Less»",
        "last.name < name",
      ),
      swap("a control in a string", "«byte >= 0x20» && byte != b'\"'", "true"),
      swap(
        "an escape of 00",
        'self.text.get(self.at..self.at + 4)?.strip_prefix("00")?',
        "self.text.get(self.at..self.at + 4)?.get(2..)?",
      ),
      swap("an escape that must be", "«byte < 0x20» && !shorter", "byte < 0x80"),
      swap("an escape that has no shorter one", "byte < 0x20 && «!shorter»", "true"),
      swap(
        "a small letter in an escape",
        "b'a'..=b'f' => Some(byte - b'a' + 10),\n                    _ => «None»,",
        "match byte { b'A'..=b'F' => Some(byte - b'A' + 10), _ => None }",
      ),
      swap("an integer that every reader reads alike", "|value| «*value <= SAFE_INTEGER»", "true"),
      swap("no negative zero", "if «negative && value == 0» {", "false"),
    ],
  },
  {
    file: "crypto-wasm/bundle/src/verify.rs",
    by: "bundle-suite bundles::",
    mutants: [
      swap(
        "the policy is read first",
        "Policy::parse(policy).map_err(|error| Error::beneath(Step::Policy, error))?",
        'Policy::parse(policy).or_else(|_| Policy::parse(b"quorum none\\n")).map_err(|error| Error::beneath(Step::Policy, error))?',
      ),
      swap("the event is checked", "event::check(&bundle.event)?", "()"),
      swap("a log that vouches for itself", "if «same» { Err(", "false"),
      swap(
        "a missing answer",
        "answers.split_at_checked(count).unwrap_or((answers, &[]))",
        "answers.split_at_checked(count).unwrap_or((&[true; 64], &[true; 64]))",
      ),
      swap(
        "the log's witnesses, where it stands alone",
        "self.log.finish(Step::Log, ours, «self.meta.is_none()»)",
        "false",
      ),
      swap("the quorum is the meta-log's", "finish(Step::Meta, theirs, «true»)", "false"),
      swap(
        "the log's signature, beside a quorum",
        "if quorum { signed.finish(answers) } else { «signed.finish_signed(answers)» }",
        "signed.finish_signed(&[true; 64])",
      ),
      swap("bytes that no signature covers", "if «proof.extra.is_some()» {", "false"),
    ],
  },
  {
    file: "crypto-wasm/bundle/src/anchors.rs",
    by: "bundle-suite anchors::",
    mutants: [
      swap(
        "a demanded block is known",
        "matches!(shown, Shown::Evm { verified: true, .. })",
        "matches!(shown, Shown::Evm { .. })",
      ),
      swap(
        "a demanded header is known",
        "matches!(shown, Shown::Bitcoin { block: Some(_), .. })",
        "matches!(shown, Shown::Bitcoin { .. })",
      ),
      swap("a chain's anchor is demanded", "«(trust.evm && !evm)» ||", "false"),
      swap("a stamp is demanded", "|| «(trust.ots && !ots)» {", "false"),
      swap(
        "the evidence",
        "evidence.verify().map_err(Error::anchor)?",
        "talos_anchor::evm::Header::parse(header).map_err(Error::anchor)?",
      ),
      swap("a registry: its chain", "«known.chain_id == *chain_id» && known.contract", "true"),
      swap("a registry: its contract", "&& «known.contract == *contract» &&", "true"),
      swap("a registry: its publisher", "&& «known.publisher == *publisher»\n", "true"),
      swap(
        "a registry that is not trusted",
        "if «!trust.registries.is_empty() && !trust.registries.iter().any(listed)» {",
        "false",
      ),
      swap("any registry where none is named", "if «!trust.registries.is_empty()» &&", "true"),
      swap("a block: its chain", "|known| «known.chain_id == *chain_id» && known.number", "true"),
      swap("a block: its number", "&& «known.number == block.number»)", "true"),
      swap("a block: its hash", "|known| «known.hash == block.hash»)", "true"),
      swap("another block than the chain's", "if «known && !verified» {", "false"),
      swap("a file of this checkpoint", "if «file.digest != *digest» {", "false"),
      swap("a header: its height", "|(at, _)| «*at == height»)", "true"),
      swap("a header: its work", "Header::parse(header, «trust.easiest»)", "0x207f_ffff"),
      swap("a header: its root", "if «header.merkle_root != merkle_root» {", "false"),
    ],
  },
  {
    file: "crypto-wasm/bundle/src/trust.rs",
    by: "bundle-suite anchors::",
    mutants: [
      swap("a line that means nothing", "_ => «return None»,\n            }\n        }\n        Some(trust)", "()"),
      swap(
        "hex: small letters",
        "b'a'..=b'f' => Some(byte - b'a' + 10),\n        _ => «None»,",
        "char::from(byte).to_digit(16).map(|digit| digit as u8)",
      ),
      swap("hex: whole bytes", "if «rest.is_empty()» { bytes }", "true"),
    ],
  },
];
