//! Policies: one reading, and a quorum that more witnesses never lose.

use talos_log::note::Kind;
use talos_log::policy::Policy;

/// A policy.
pub fn run(data: &[u8]) {
    let Ok(policy) = Policy::parse(data) else { return };
    assert!(policy.logs.iter().all(|key| key.kind == Kind::Ed25519));
    assert!(policy.witnesses.iter().all(|key| key.kind != Kind::Ed25519));
    assert!(policy.logs.len() <= 64 && policy.witnesses.len() <= 64);
    let spaced = [b"# said before\n \t\n", data, b"#\n"].concat();
    assert_eq!(Policy::parse(&spaced).as_ref(), Ok(&policy));
    for cut in [1, 2, data.len() / 2] {
        if let Some(text) = data.len().checked_sub(cut).and_then(|end| data.get(..end))
            && !text.ends_with(b"\n")
        {
            assert!(Policy::parse(text).is_err());
        }
    }
    let nobody = policy.is_met(&|_| false);
    // Whoever is met by nobody asks for nobody.
    assert!(!nobody || policy.is_met(&|index| index % 2 == 0));
    for mask in [0x5555_5555_5555_5555_u64, 0x0f0f_0f0f_0f0f_0f0f, 1, u64::MAX >> 1] {
        let seen = |index: usize| mask >> index & 1 == 1;
        if policy.is_met(&seen) {
            assert!(policy.is_met(&|index| seen(index) || index % 3 == 0) && policy.is_met(&|_| true));
        }
    }
}
