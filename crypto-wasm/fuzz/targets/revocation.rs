//! Revocations: who may say what, and that the filter forgets nothing.

use std::sync::LazyLock;

use talos_core::json::Value;
use talos_core::lineage::Lineage;
use talos_core::revocation::{self, Answers, Entry, Items, Revocations, Verdict};
use talos_core::statement::Statement;
use talos_core::{chain::Chain, hash, jwk, jws};

use super::world::{AUD, JTI, NOW, NOW_MS, TENANT, chain_of, flipped, jkt, key, lines, payload, signed, trust};

/// The first line is a patch of a statement whose first byte may be a digit that names the signer; the others are entries.
pub fn run(data: &[u8]) {
    static SHOWN: LazyLock<(String, Lineage)> = LazyLock::new(|| {
        let chain = chain_of([&b"{}"[..], b"{}", b"{}"].into_iter());
        let lineage = Lineage::of_chain(&Chain::parse(&chain).expect("a chain"), &trust()).expect("a lineage");
        (chain, lineage)
    });
    let (chain, lineage) = &*SHOWN;
    let mut lines = lines(data);
    let statement_line = lines.next().unwrap_or_default();
    statement(statement_line, data, chain, lineage);
    let entries: Vec<String> =
        lines.filter_map(|line| core::str::from_utf8(line).ok()).map(|line| expand(line, lineage)).collect();
    in_force(&entries, lineage);
}

/// `$0`…`$2` stand for the ids of links, `#1`…`#4` for thumbprints: no fuzzer guesses a hash.
fn expand(line: &str, lineage: &Lineage) -> String {
    let mut text = line.to_owned();
    for (index, link) in lineage.links.iter().enumerate() {
        text = text.replace(&format!("${index}"), &link.id);
    }
    for n in 1..=4 {
        text = text.replace(&format!("#{n}"), &jkt(n));
    }
    text
}

fn statement(line: &[u8], data: &[u8], chain: &str, lineage: &Lineage) {
    let (signer, patch) = match line {
        [digit @ b'1'..=b'5', rest @ ..] => (digit - b'0', rest),
        _ => (4, line),
    };
    let patch = expand(&String::from_utf8_lossy(patch), lineage);
    let leaf = lineage.links.last().expect("a leaf").id.as_str();
    let base = Value::obj([
        ("aud", Value::str(AUD)),
        ("iat", Value::Int(NOW)),
        ("jti", Value::str(JTI)),
        ("kind", Value::str("link")),
        ("link", Value::str(leaf)),
    ]);
    let header = jws::header("talos-revocation+jwt", [("jwk", jwk::value(&key(signer)))]);
    let text = signed(signer, &header, &payload(base, patch.as_bytes()));
    let now_ms = i64::try_from(NOW_MS).expect("a moment");
    let Ok((said, force)) = Statement::verify(&text, chain, AUD, now_ms, &trust()) else { return };
    // Only one who signed or holds something of the chain, about the chain, and what it says kills the chain that was shown.
    assert_eq!(said.jkt, jkt(signer));
    assert!(lineage.keys().any(|own| own == said.jkt), "a stranger");
    let kills = force.entry.kills(lineage).is_some();
    // An epoch ends what was signed before it; a key under a link or an anchor may have nothing below it in this chain.
    assert!(kills || matches!(force.entry, Entry::Epoch { .. } | Entry::Key { .. }));
    assert!(said.aud == AUD && said.iat.abs_diff(NOW) <= 300);
    assert!(force.expires_at >= 2_000, "kept as long as the chain lives");
    assert_eq!(Entry::parse(&force.entry.print()).as_ref(), Ok(&force.entry));
    assert!(Statement::verify(&text, chain, "https://talos.example/t/other", now_ms, &trust()).is_err());
    let again = |changed: String| Statement::verify(&changed, chain, AUD, now_ms, &trust()).is_err();
    assert!(flipped(&text, data).is_none_or(again), "a changed bit was not seen");
}

fn in_force(entries: &[String], lineage: &Lineage) {
    let Ok((body, rev_hash)) = revocation::build(TENANT, 7, entries) else { return };
    assert_eq!(rev_hash, hash::sha256_b64(body.as_bytes()));
    let filter = Revocations::parse(body.as_bytes(), TENANT, &rev_hash).expect("what was built reads");
    let items = Items::of(lineage);
    let read: Vec<Entry> = entries.iter().map(|text| Entry::parse(text).expect("built of entries")).collect();
    let dead = read.iter().filter_map(|entry| entry.kills(lineage)).min();
    let hits = filter.hits(&items);
    for entry in &read {
        // No false negative: whatever kills the chain is hit by an item of the chain.
        assert!(entry.kills(lineage).is_none() || hits.contains(&entry.item().as_str()), "{entry:?}");
    }
    let of = |item: &str| read.iter().filter(|entry| entry.item() == item).map(Entry::print).collect::<Vec<_>>();
    let answers = Answers { rev_seq: 7, items: hits.iter().map(|item| ((*item).to_owned(), of(item))).collect() };
    match filter.check(lineage, &items, &answers) {
        Ok(Verdict::Clear) => assert_eq!(dead, None),
        Ok(Verdict::Revoked(link)) => assert_eq!(dead, Some(link)),
        // More entries of one item than an answer may hold.
        Ok(Verdict::Lookup(_)) | Err(_) => assert!(read.len() > 100),
    }
    let verdict = filter.check(lineage, &items, &Answers::default()).expect("nothing was answered");
    assert_eq!(verdict == Verdict::Clear, hits.is_empty());
}
