use proptest::prelude::*;

use super::*;
use crate::lineage::fixture::{jkt, lineage, link, name};

fn key(n: u8, reach: Reach) -> Entry {
    Entry::Key { jkt: jkt(n), reach }
}

fn kills(entry: &Entry) -> Option<usize> {
    entry.kills(&lineage(3))
}

fn loaded(entries: &[Entry]) -> Revocations {
    let printed: Vec<String> = entries.iter().map(Entry::print).collect();
    let (body, hash) = build("default", 7, &printed).unwrap();
    Revocations::parse(body.as_bytes(), "default", &hash).unwrap()
}

fn answers(rev_seq: u64, items: &[String], entries: &[Entry]) -> Answers {
    let of = |item: &String| entries.iter().filter(|entry| entry.item() == *item).map(Entry::print).collect();
    Answers { rev_seq, items: items.iter().map(|item| (item.clone(), of(item))).collect() }
}

/// The verdict after the look-up that the filter asks for.
fn verdict(entries: &[Entry], chain: &Lineage) -> Verdict {
    let loaded = loaded(entries);
    let items = Items::of(chain);
    match loaded.check(chain, &items, &Answers::default()).unwrap() {
        Verdict::Lookup(asked) => loaded.check(chain, &items, &answers(7, &asked, entries)).unwrap(),
        other => other,
    }
}

#[test]
fn a_revoked_link_kills_every_chain_through_it() {
    for n in 0..3 {
        assert_eq!(kills(&Entry::Link(link(n))), Some(usize::from(n)));
    }
    assert_eq!(kills(&Entry::Link(link(3))), None);
    assert_eq!(Entry::Link(link(2)).kills(&lineage(2)), None);
}

#[test]
fn a_revoked_key_kills_where_it_signs_and_where_it_holds() {
    assert_eq!(kills(&key(0, Reach::Tenant)), Some(0)); // the anchor signs the root
    assert_eq!(kills(&key(1, Reach::Tenant)), Some(0)); // holds the root
    assert_eq!(kills(&key(2, Reach::Tenant)), Some(1));
    assert_eq!(kills(&key(3, Reach::Tenant)), Some(2)); // holds the leaf
    assert_eq!(kills(&key(4, Reach::Tenant)), None);
}

#[test]
fn a_scoped_key_dies_only_inside_its_scope() {
    // Under link 1: only links below it count.
    assert_eq!(kills(&key(3, Reach::Under(link(1)))), Some(2));
    assert_eq!(kills(&key(2, Reach::Under(link(1)))), Some(2)); // its own holder signs the link below
    assert_eq!(kills(&key(1, Reach::Under(link(1)))), None);
    assert_eq!(kills(&key(0, Reach::Under(link(1)))), None);
    assert_eq!(kills(&key(3, Reach::Under(link(2)))), None); // holds it, but nothing is below
    assert_eq!(kills(&key(3, Reach::Under(link(7)))), None); // a link of another chain
    // Rooted by an anchor.
    assert_eq!(kills(&key(2, Reach::Anchor(name(0)))), Some(1));
    assert_eq!(kills(&key(2, Reach::Anchor(name(1)))), None);
    assert_eq!(kills(&key(4, Reach::Anchor(name(0)))), None);
    assert_eq!(kills(&key(0, Reach::Anchor(name(0)))), None); // the anchor's own key excepted
}

#[test]
fn an_epoch_kills_what_the_key_signed_before() {
    let epoch = |n, epoch| kills(&Entry::Epoch { jkt: jkt(n), epoch });
    assert_eq!(epoch(1, 5), None); // the links were signed in epoch 5
    assert_eq!(epoch(1, 6), Some(1));
    assert_eq!(epoch(0, 6), Some(0));
    assert_eq!(epoch(3, 6), None); // holds, but signed nothing
}

#[test]
fn the_check_finds_each_kind_and_nothing_else() {
    let chain = lineage(3);
    let all = [
        (Entry::Link(link(2)), Verdict::Revoked(2)),
        (key(2, Reach::Tenant), Verdict::Revoked(1)),
        (key(3, Reach::Under(link(0))), Verdict::Revoked(2)),
        (key(3, Reach::Anchor(name(0))), Verdict::Revoked(2)),
        (Entry::Epoch { jkt: jkt(2), epoch: 6 }, Verdict::Revoked(2)),
        (Entry::Epoch { jkt: jkt(2), epoch: 5 }, Verdict::Clear),
        (key(3, Reach::Under(link(9))), Verdict::Clear),
        (key(9, Reach::Tenant), Verdict::Clear),
        (Entry::Link(link(9)), Verdict::Clear),
    ];
    for (entry, expected) in &all {
        assert_eq!(verdict(core::slice::from_ref(entry), &chain), *expected, "{}", entry.print());
    }
    let entries: Vec<Entry> = all.into_iter().map(|(entry, _)| entry).collect();
    assert_eq!(verdict(&entries, &chain), Verdict::Revoked(1));
    assert_eq!(verdict(&[], &chain), Verdict::Clear);
}

#[test]
fn a_hit_of_the_filter_denies_nothing_by_itself() {
    let chain = lineage(3);
    let items = Items::of(&chain);
    let loaded = loaded(&[key(3, Reach::Under(link(9)))]);
    let asked = vec![format!("key:{}", jkt(3))];
    assert_eq!(loaded.hits(&items), asked);
    assert_eq!(loaded.check(&chain, &items, &Answers::default()).unwrap(), Verdict::Lookup(asked.clone()));
    assert_eq!(loaded.check(&chain, &items, &answers(7, &asked, &[])).unwrap(), Verdict::Clear);
}

#[test]
fn an_older_answer_is_not_taken() {
    let chain = lineage(3);
    let items = Items::of(&chain);
    let loaded = loaded(&[key(3, Reach::Tenant)]);
    let asked = vec![format!("key:{}", jkt(3))];
    let old = loaded.check(&chain, &items, &answers(6, &asked, &[])).unwrap();
    assert_eq!(old, Verdict::Lookup(asked.clone()));
    let newer = loaded.check(&chain, &items, &answers(8, &asked, &[])).unwrap();
    assert_eq!(newer, Verdict::Clear);
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let chain = lineage(3);
    let items = Items::of(&chain);
    let loaded = loaded(&[key(3, Reach::Tenant)]);
    let item = format!("key:{}", jkt(3));
    for entry in ["", "key:x", &key(4, Reach::Tenant).print(), &Entry::Link(link(0)).print()] {
        let answers = Answers { rev_seq: 7, items: vec![(item.clone(), vec![entry.to_owned()])] };
        assert_eq!(loaded.check(&chain, &items, &answers).unwrap_err().code, Code::HeadInconsistent, "{entry}");
    }
    let many = vec![key(3, Reach::Under(link(9))).print(); LOOKUP_ENTRIES + 1];
    let answers = Answers { rev_seq: 7, items: vec![(item, many)] };
    assert_eq!(loaded.check(&chain, &items, &answers).unwrap_err().code, Code::HeadInconsistent);
}

#[test]
fn the_body_is_the_one_of_the_page() {
    let entries = [Entry::Link(link(1)), key(2, Reach::Tenant), Entry::Epoch { jkt: jkt(1), epoch: 3 }];
    let mut printed: Vec<String> = entries.iter().map(Entry::print).collect();
    let (body, hash) = build("default", 7, &printed).unwrap();
    printed.reverse();
    printed.push(printed[0].clone());
    assert_eq!(
        build("default", 7, &printed).unwrap(),
        (body.clone(), hash.clone()),
        "order and repeats change nothing"
    );
    printed.sort();
    printed.dedup();
    let value = json::parse(body.as_bytes()).unwrap();
    let hash_of_all = Value::Str(sha256_b64(printed.join("\n").as_bytes()));
    assert_eq!(value.get("entries_hash"), Some(&hash_of_all));
    assert_eq!(value.get("v"), Some(&Value::Int(1)));
    assert_eq!(hash, sha256_b64(body.as_bytes()));
}

#[test]
fn a_body_that_is_not_the_heads_is_refused() {
    let (body, hash) = build("default", 7, &[Entry::Link(link(1)).print()]).unwrap();
    let parse = |body: &str, tenant, hash: &str| Revocations::parse(body.as_bytes(), tenant, hash).unwrap_err();
    assert_eq!(parse(&body, "acme", &hash).code, Code::HeadInconsistent);
    assert_eq!(parse(&body, "default", &sha256_b64(b"x")).field.clone().unwrap(), "rev_hash");
    assert_eq!(parse(&body, "default", "x").field.clone().unwrap(), "rev_hash");
    let rehashed = |body: String| parse(&body, "default", &sha256_b64(body.as_bytes()));
    assert_eq!(rehashed(body.replace("\"v\":1", "\"v\":2")).field.clone().unwrap(), "v");
    assert_eq!(rehashed(body.replace("{\"", "{ \"")).code, Code::Malformed);
    assert_eq!(rehashed(body.replace(",\"v\":1", ",\"v\":1,\"w\":1")).field.clone().unwrap(), "w");
    assert_eq!(rehashed(body.replace("\"filter\":\"", "\"filter\":\"AAAA")).field.clone().unwrap(), "filter");
    assert_eq!(rehashed(" ".repeat(REVOCATION_BODY_BYTES + 1)).code, Code::LimitExceeded);
}

#[test]
fn entries_have_one_spelling() {
    for entry in [
        Entry::Link(link(1)),
        key(1, Reach::Tenant),
        key(1, Reach::Under(link(2))),
        key(1, Reach::Anchor(name(0))),
        key(1, Reach::Anchor("did:web:a.example%3A80:x".into())),
        Entry::Epoch { jkt: jkt(1), epoch: 1 },
        Entry::Epoch { jkt: jkt(1), epoch: MAX_EPOCH },
    ] {
        assert_eq!(Entry::parse(&entry.print()).unwrap(), entry);
    }
    let (id, thumb) = (link(1), jkt(1));
    for text in [
        String::new(),
        "link".into(),
        "link:x".into(),
        format!("link:{id}:"),
        format!("Link:{id}"),
        format!("link:{id} "),
        format!("key:{thumb}:"),
        format!("key:{thumb}:under"),
        format!("key:{thumb}:under:x"),
        format!("key:{thumb}:anchor:"),
        format!("key:{thumb}:anchor:x"),
        format!("key:{thumb}:anchor:did:web:a\n"),
        format!("key:{thumb}:other:{id}"),
        format!("epoch:{thumb}"),
        format!("epoch:{thumb}:"),
        format!("epoch:{thumb}:0"),
        format!("epoch:{thumb}:01"),
        format!("epoch:{thumb}:5:"),
        format!("epoch:{thumb}:2147483648"),
        format!("epoch:{id}x:5"),
    ] {
        assert!(Entry::parse(&text).is_err(), "{text:?}");
        assert!(build("default", 1, &[text]).is_err());
    }
}

proptest! {
    #[test]
    fn no_revoked_link_of_a_chain_is_missed(dead in prop::collection::btree_set(0_u8..40, 0..20), links in 1_u8..=8) {
        let entries: Vec<Entry> = dead.iter().map(|n| Entry::Link(link(*n))).collect();
        let first = dead.iter().find(|n| **n < links).map(|n| usize::from(*n));
        let expected = first.map_or(Verdict::Clear, Verdict::Revoked);
        prop_assert_eq!(verdict(&entries, &lineage(links)), expected);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), entry in "(link|key|epoch):[A-Za-z0-9_-]{40,45}(:(under|anchor|[0-9]{0,3}):?.{0,50})?") {
        let _ = Entry::parse(&text);
        let _ = Entry::parse(&entry);
        let hash = sha256_b64(text.as_bytes());
        prop_assert!(Revocations::parse(text.as_bytes(), "default", &hash).is_err());
    }
}
