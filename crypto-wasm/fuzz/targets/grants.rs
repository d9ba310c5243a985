//! Containment: what a contained child allows, its parent allows.

use talos_core::contain::contains;
use talos_core::decide::decide;
use talos_core::grant::{Grant, grants_value, parse_grants};
use talos_core::json;

use super::world::lines;
use crate::generate::{Source, grants, narrower, request};

/// Two lines of JSON, the parent's grants and the child's, and bytes that choose requests; or, when the first byte is `#`, bytes
/// that choose everything.
pub fn run(data: &[u8]) {
    if let Some(choices) = data.strip_prefix(b"#") {
        let mut source = Source::of_bytes(choices);
        let parent = grants(&mut source);
        let child = if source.chance(75) { narrower(&mut source, &parent) } else { grants(&mut source) };
        sound(&parent, &child, &mut source);
        return;
    }
    let mut lines = lines(data);
    let mut next = || read(lines.next().unwrap_or_default());
    let (Some(parent), Some(child)) = (next(), next()) else { return };
    sound(&parent, &child, &mut Source::of_bytes(lines.next().unwrap_or_default()));
}

fn read(line: &[u8]) -> Option<Vec<Grant>> {
    let value = json::parse(line).ok()?;
    let grants = parse_grants(value.as_arr()?, 64).ok().filter(|grants| !grants.is_empty())?;
    // Read as printed.
    assert_eq!(parse_grants(grants_value(&grants).as_arr()?, 64).as_ref(), Ok(&grants));
    Some(grants)
}

fn sound(parent: &[Grant], child: &[Grant], source: &mut Source) {
    assert!(contains(parent, parent).is_ok() && contains(child, child).is_ok(), "a grant contains itself");
    let contained = contains(parent, child).is_ok();
    for _ in 0..16 {
        let request = request(source, child);
        let need = request.need();
        if contained && decide(child, &need).is_ok() {
            assert!(decide(parent, &need).is_ok(), "{parent:?} contains {child:?}, and yet {request:?}");
        }
    }
}
