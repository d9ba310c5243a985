//! Tickets that were opened, so that a session's requests need no AEAD and no parsing.
//!
//! Only what does not change lives here. Sequence windows live beside it ([`crate::window::Windows`]) under the session's
//! id, so that a ticket which is evicted and opened again finds its window where it was, and no captured read gains a
//! second life (contracts/spec/proof.md#replay).

use std::collections::HashMap;
use std::rc::Rc;

use crate::Error;
use crate::hash::sha256_parts;
use crate::revocation::Items;
use crate::seal::Keyring;
use crate::table::Spread;
use crate::ticket::Ticket;

/// A ticket and what is derived from it once.
#[derive(Debug)]
pub struct OpenTicket {
    /// What was sealed.
    pub ticket: Ticket,
    /// What is looked up in the revocation filter.
    pub items: Items,
}

/// The tickets used last, under the hash of their text and of the keyring that opened them: a keyring from which a key was
/// taken away must not profit from its predecessor.
#[derive(Debug)]
pub struct OpenTickets {
    most: usize,
    uses: u64,
    tickets: HashMap<[u8; 32], (u64, Rc<OpenTicket>), Spread>,
}

impl OpenTickets {
    /// Room for `most` tickets; the one that was not used for longest gives way.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, uses: 0, tickets: HashMap::default() }
    }

    /// The ticket of this text. `ring` tells keyrings apart, `core` is the hash of this core.
    ///
    /// # Errors
    /// As [`Ticket::open`].
    pub fn open(
        &mut self,
        (ring, keyring): (u32, &Keyring),
        text: &str,
        core: &str,
        now_seconds: u64,
    ) -> Result<Rc<OpenTicket>, Error> {
        let name = sha256_parts(&[&ring.to_le_bytes(), text.as_bytes()]);
        self.uses += 1;
        if let Some((used, open)) = self.tickets.get_mut(&name) {
            *used = self.uses;
            return Ok(Rc::clone(open));
        }
        let ticket = Ticket::open(keyring, text, core, now_seconds)?;
        let open = Rc::new(OpenTicket { items: Items::of(&ticket.lineage), ticket });
        if self.tickets.len() >= self.most
            && let Some(oldest) = self.tickets.iter().min_by_key(|(_, (used, _))| *used).map(|(name, _)| *name)
        {
            self.tickets.remove(&oldest);
        }
        self.tickets.insert(name, (self.uses, Rc::clone(&open)));
        Ok(open)
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }
}
