//! Tickets that were opened, so that a session's requests need no AEAD and no parsing.
//!
//! Only what does not change lives here. Sequence windows live beside it ([`crate::window::Windows`]) under the session's
//! id, so that a ticket which is evicted and opened again finds its window where it was, and no captured read gains a
//! second life (contracts/spec/proof.md#replay).

use std::collections::HashMap;
use std::rc::Rc;

use crate::hash::sha256_b64;
use crate::lineage::Lineage;
use crate::revocation::Items;
use crate::seal::Keyring;
use crate::table::Spread;
use crate::ticket::Ticket;
use crate::{Code, Error, bytes, did};

/// A ticket and what is derived from it once.
#[derive(Debug)]
pub struct OpenTicket {
    /// What was sealed.
    pub ticket: Ticket,
    /// What is looked up in the revocation filter.
    pub items: Items,
    /// Which of the subjects are did:web, by the index of their link: those a policy must list.
    pub webs: Vec<usize>,
    /// base64url SHA-256 of the ticket's text.
    pub hash: String,
    /// A number that no other opened ticket of this core ever has.
    pub serial: u32,
    ring: u32,
    text: Box<str>,
}

/// The last characters of a ticket's text: part of the AEAD's tag, so of two genuine tickets they differ.
type Name = [u8; 16];

/// The tickets used last, under the end of their text; what is found must be the same text to the last byte and opened by
/// the same keyring: a keyring from which a key was taken away must not profit from its predecessor.
#[derive(Debug)]
pub struct OpenTickets {
    most: usize,
    uses: u64,
    serial: u32,
    tickets: HashMap<Name, (u64, Rc<OpenTicket>), Spread>,
}

/// The subjects that are no keys: of the issuers below the root, and of the holder.
fn webs(lineage: &Lineage) -> Result<Vec<usize>, Error> {
    let mut webs = Vec::new();
    for (index, sub) in lineage.subjects().enumerate() {
        if did::key_of(sub)?.is_none() {
            webs.push(index);
        }
    }
    Ok(webs)
}

impl OpenTickets {
    /// Room for `most` tickets; the one that was not used for longest gives way.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, uses: 0, serial: 0, tickets: HashMap::default() }
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
        let name = text.as_bytes().last_chunk::<16>().copied().unwrap_or_default();
        self.uses += 1;
        if let Some((used, open)) = self.tickets.get_mut(&name)
            && open.ring == ring
            && bytes::same(open.text.as_bytes(), text.as_bytes())
        {
            *used = self.uses;
            return Ok(Rc::clone(open));
        }
        let ticket = Ticket::open(keyring, text, core, now_seconds)?;
        self.serial = self.serial.checked_add(1).ok_or_else(|| Error::new(Code::Internal, "no serial left"))?;
        let open = Rc::new(OpenTicket {
            items: Items::of(&ticket.lineage),
            webs: webs(&ticket.lineage)?,
            hash: sha256_b64(text.as_bytes()),
            serial: self.serial,
            ring,
            text: text.into(),
            ticket,
        });
        if self.tickets.len() >= self.most
            && let Some(oldest) = self.tickets.iter().min_by_key(|(_, (used, _))| *used).map(|(name, _)| *name)
        {
            self.tickets.remove(&oldest);
        }
        self.tickets.insert(name, (self.uses, Rc::clone(&open)));
        Ok(open)
    }

    /// The open ticket with this serial number. Looks at all of them, so once a session.
    #[must_use]
    pub fn by_serial(&self, serial: u32) -> Option<&OpenTicket> {
        self.tickets.values().map(|(_, open)| &**open).find(|open| open.serial == serial)
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
