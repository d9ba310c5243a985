//! The sequence window that keeps a session's MAC from being used twice.
//!
//! Source: contracts/spec/proof.md#replay.

use std::collections::HashMap;

use crate::contract::limits::SEQUENCE_WINDOW;
use crate::table::Spread;
use crate::{Code, Error};

/// Sequence numbers that a window remembers below and with the highest one.
pub const WIDTH: u64 = SEQUENCE_WINDOW as u64;

const WORD_BITS: u64 = 64;
const WORDS: usize = 16;

/// Which of the last 1,024 sequence numbers of one session were used here.
///
/// A plain value: the isolate keeps one for each session it has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// `None` until the first number was taken.
    highest: Option<u64>,
    /// Bit `n mod 1024` stands for the number n; bits left behind are cleared as the window moves on.
    used: [u64; WORDS],
}

/// Where the bit of `sequence` lies: word, mask.
fn place(sequence: u64) -> (usize, u64) {
    let bit = sequence % WIDTH;
    let word = usize::try_from(bit / WORD_BITS).unwrap_or_default();
    (word, 1 << (bit % WORD_BITS))
}

impl Window {
    /// Whether `sequence` could be taken now; changes nothing.
    ///
    /// Errors: `PROOF_INVALID` at or below highest − 1,024, `REPLAY` for a number seen before.
    pub fn check(&self, sequence: u64) -> Result<(), Error> {
        let Some(highest) = self.highest else {
            return Ok(());
        };
        if sequence > highest {
            return Ok(());
        }
        if highest - sequence >= WIDTH {
            return Err(Error::new(Code::ProofInvalid, "a sequence number that left the window").at("nonce"));
        }
        let (word, mask) = place(sequence);
        if self.used.get(word).is_some_and(|bits| bits & mask == 0) {
            Ok(())
        } else {
            Err(Error::new(Code::Replay, "a sequence number that was used").at("nonce"))
        }
    }

    /// Use up `sequence`. Call it only after the MAC was found right: whoever cannot compute the MAC must not be able
    /// to move the window.
    ///
    /// Errors: as [`Window::check`]; then nothing changed.
    pub fn take(&mut self, sequence: u64) -> Result<(), Error> {
        self.check(sequence)?;
        match self.highest {
            Some(highest) if sequence <= highest => {}
            Some(highest) if sequence - highest < WIDTH => {
                for passed in highest + 1..=sequence {
                    let (word, mask) = place(passed);
                    if let Some(bits) = self.used.get_mut(word) {
                        *bits &= !mask;
                    }
                }
                self.highest = Some(sequence);
            }
            _ => {
                self.used = [0; WORDS];
                self.highest = Some(sequence);
            }
        }
        let (word, mask) = place(sequence);
        if let Some(bits) = self.used.get_mut(word) {
            *bits |= mask;
        }
        Ok(())
    }
}

fn full() -> Error {
    Error::limit("every sequence window is in use").at("nonce")
}

/// The windows of the sessions that one isolate serves.
///
/// A window may be forgotten only when no proof that it has seen can still be alive; when all of them are needed, a
/// further session is refused, since forgetting one would let its captured reads be sent again.
#[derive(Debug)]
pub struct Windows {
    most: usize,
    sessions: HashMap<[u8; 16], (Window, u64), Spread>,
}

impl Windows {
    /// Windows for at most `most` sessions with proofs alive at the same time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, sessions: HashMap::default() }
    }

    /// Whether `sequence` of `session` could be used up now; changes nothing.
    ///
    /// # Errors
    /// As [`Windows::take`].
    pub fn check(&self, session: &[u8; 16], sequence: u64, now_seconds: u64) -> Result<(), Error> {
        let needed = || self.sessions.values().filter(|(_, needed_until)| *needed_until > now_seconds).count();
        match self.sessions.get(session) {
            Some((window, _)) => window.check(sequence),
            None if self.sessions.len() >= self.most && needed() >= self.most => Err(full()),
            None => Ok(()),
        }
    }

    /// Use up `sequence` of `session`; `expires` (seconds) is the end of the proof that carried it.
    ///
    /// Errors: as [`Window::check`]; `LIMIT_EXCEEDED` when every window is still needed.
    pub fn take(&mut self, session: [u8; 16], sequence: u64, expires: u64, now_seconds: u64) -> Result<(), Error> {
        if let Some((window, needed_until)) = self.sessions.get_mut(&session) {
            window.take(sequence)?;
            *needed_until = expires.max(*needed_until);
            return Ok(());
        }
        if self.sessions.len() >= self.most {
            self.sessions.retain(|_, (_, needed_until)| *needed_until > now_seconds);
        }
        if self.sessions.len() >= self.most {
            return Err(full());
        }
        let mut window = Window::default();
        window.take(sequence)?;
        self.sessions.insert(session, (window, expires));
        Ok(())
    }

    /// How many windows are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no window is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn code(result: Result<(), Error>) -> Option<Code> {
        result.err().map(|error| error.code)
    }

    #[test]
    fn each_number_is_taken_once_in_any_order() {
        let mut window = Window::default();
        for sequence in [5, 3, 1_000, 4, 999, 0] {
            assert_eq!(code(window.take(sequence)), None, "{sequence}");
        }
        for sequence in [5, 3, 1_000, 4, 999, 0] {
            assert_eq!(code(window.take(sequence)), Some(Code::Replay), "{sequence}");
        }
    }

    #[test]
    fn the_window_is_1024_wide_to_the_number() {
        let mut window = Window::default();
        assert_eq!(code(window.take(2_000)), None);
        assert_eq!(code(window.check(2_000 - 1_024)), Some(Code::ProofInvalid));
        assert_eq!(code(window.take(2_000 - 1_023)), None);
        assert_eq!(code(window.take(2_000 - 1_023)), Some(Code::Replay));
    }

    #[test]
    fn a_jump_forgets_no_number_and_opens_no_old_one() {
        let mut window = Window::default();
        assert_eq!(code(window.take(0)), None);
        assert_eq!(code(window.take(u64::MAX)), None);
        assert_eq!(code(window.take(u64::MAX)), Some(Code::Replay));
        assert_eq!(code(window.take(u64::MAX - 1_023)), None);
        assert_eq!(code(window.take(u64::MAX - 1_024)), Some(Code::ProofInvalid));
        assert_eq!(code(window.take(0)), Some(Code::ProofInvalid));
    }

    #[test]
    fn a_number_that_was_passed_over_is_good_once() {
        let mut window = Window::default();
        // 5 and 6 leave their places to 1,029 and 1,030, which the window passes over on its way up.
        for sequence in [5, 6, 1_000, 1_028, 1_031] {
            assert_eq!(code(window.take(sequence)), None, "{sequence}");
        }
        for sequence in [1_029, 1_030] {
            assert_eq!(code(window.take(sequence)), None, "{sequence}");
            assert_eq!(code(window.take(sequence)), Some(Code::Replay), "{sequence}");
        }
    }

    #[test]
    fn a_refused_number_changes_nothing() {
        let mut window = Window::default();
        assert_eq!(code(window.take(5_000)), None);
        let before = window.clone();
        assert_eq!(code(window.take(5_000)), Some(Code::Replay));
        assert_eq!(code(window.take(1)), Some(Code::ProofInvalid));
        assert_eq!(window, before);
    }

    #[test]
    fn a_window_in_need_is_never_forgotten() {
        let mut windows = Windows::new(2);
        assert_eq!(code(windows.take([1; 16], 7, 160, 100)), None);
        assert_eq!(code(windows.take([2; 16], 7, 130, 100)), None);
        assert_eq!(code(windows.take([3; 16], 7, 160, 100)), Some(Code::LimitExceeded));
        assert_eq!(code(windows.take([1; 16], 7, 160, 100)), Some(Code::Replay));
        // The second session's last proof is over at 130: its place is free, the first one's is not.
        assert_eq!(code(windows.take([3; 16], 7, 190, 130)), None);
        assert_eq!(code(windows.take([1; 16], 7, 160, 130)), Some(Code::Replay));
        assert_eq!(windows.len(), 2);
    }

    #[test]
    fn a_window_is_needed_as_long_as_its_longest_proof_and_a_further_session_is_told_so_at_once() {
        let mut windows = Windows::new(1);
        assert_eq!(code(windows.take([1; 16], 1, 160, 100)), None);
        assert_eq!(code(windows.take([1; 16], 2, 130, 100)), None);
        assert_eq!(code(windows.check(&[2; 16], 1, 159)), Some(Code::LimitExceeded));
        assert_eq!(code(windows.take([2; 16], 1, 190, 159)), Some(Code::LimitExceeded));
        assert_eq!(code(windows.check(&[2; 16], 1, 160)), None);
        assert_eq!(code(windows.take([2; 16], 1, 190, 160)), None);
        assert_eq!(code(windows.check(&[2; 16], 1, 160)), Some(Code::Replay));
    }

    proptest! {
        /// Against a set that forgets nothing.
        #[test]
        fn agrees_with_a_full_memory(steps in prop::collection::vec(prop_oneof![300 => 0_u64..3_000, 1 => any::<u64>()], 1..200)) {
            let mut window = Window::default();
            let mut taken = BTreeSet::new();
            for sequence in steps {
                let highest = taken.last().copied();
                let expected = match highest {
                    Some(highest) if sequence <= highest && highest - sequence >= WIDTH => Some(Code::ProofInvalid),
                    _ if taken.contains(&sequence) => Some(Code::Replay),
                    _ => None,
                };
                prop_assert_eq!(code(window.take(sequence)), expected);
                if expected.is_none() {
                    taken.insert(sequence);
                }
            }
        }
    }
}
