//! Signed notes, the checkpoints in them, and verifiers' keys.

use talos_log::base64;
use talos_log::checkpoint::Checkpoint;
use talos_log::note::{Key, Note};

/// A note; its first line, or all of it where it has one line only, is read as a key too.
pub fn run(data: &[u8]) {
    if let Some(text) = data.split(|byte| *byte == b'\n').next().and_then(|line| core::str::from_utf8(line).ok())
        && let Some(key) = Key::parse(text)
    {
        assert_eq!(key.text(), text);
        assert_eq!(Key::new(&key.name, key.kind, &key.public).as_ref(), Some(&key));
        // A signature of another length than the kind's asks nothing.
        assert!(key.equation("text\n", &[0; 71]).is_none() && key.equation("text\n", &[]).is_none());
    }
    let Ok(note) = Note::parse(data) else { return };
    assert!(note.text.ends_with('\n') && !note.signatures.is_empty());
    let mut again = format!("{}\n", note.text);
    for signature in &note.signatures {
        again.push_str(&format!("\u{2014} {} ", signature.name));
        base64::push(&mut again, &[signature.id.as_slice(), &signature.bytes].concat());
        again.push('\n');
    }
    assert_eq!(again.as_bytes(), data);
    let Ok(checkpoint) = Checkpoint::parse(note.text) else { return };
    // What follows are lines that mean nothing here.
    let more = note.text.strip_prefix(&checkpoint.text()).expect("a text begins with what it says");
    assert!(more.is_empty() || (more.ends_with('\n') && !more.contains("\n\n") && !more.starts_with('\n')));
}
