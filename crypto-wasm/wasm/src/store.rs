//! What outlives a call: compiled policies, filters and keyrings under handles, opened tickets and sequence windows.
//!
//! Nothing of a request is kept. Handles are numbers that are never used twice, so a freed one answers nothing.

use std::cell::RefCell;
use std::rc::Rc;

use talos_core::authorize::{Memory, Site};
use talos_core::grant::Grant;
use talos_core::need::Kept;
use talos_core::policy::Policy;
use talos_core::revocation::Revocations;
use talos_core::seal::Keyring;
use talos_core::{Code, Error};

/// What a handle stands for.
enum Held {
    Policy(Rc<Policy>),
    Filter(Rc<Revocations>),
    Keyring(Rc<Keyring>),
    Leaf(Vec<Grant>),
    Need(Kept),
}

struct Store {
    core: Rc<str>,
    last: u32,
    held: Vec<(u32, Held)>,
}

impl Default for Store {
    fn default() -> Self {
        Self { core: Rc::from(""), last: 0, held: Vec::new() }
    }
}

impl Store {
    fn find(&self, handle: u32) -> Option<&Held> {
        // Handles grow, and what is held is in their order.
        let index = self.held.binary_search_by_key(&handle, |(own, _)| *own).ok()?;
        self.held.get(index).map(|(_, held)| held)
    }
}

thread_local! {
    static STORE: RefCell<Store> = RefCell::new(Store::default());
    static MEMORY: RefCell<Memory> = RefCell::new(Memory::default());
}

/// Handles that may be open at once: an isolate needs a few a tenant. Bounds what a forgotten `free` can cost.
const HANDLES: usize = 4_096;

fn unknown(what: &'static str) -> Error {
    Error::new(Code::Internal, "a handle that stands for nothing of this kind").at(what)
}

fn hold(held: Held) -> Result<u32, Error> {
    STORE.with_borrow_mut(|store| {
        if store.held.len() >= HANDLES {
            return Err(Error::new(Code::Internal, "too many handles; free what is no longer in force"));
        }
        store.last = store.last.checked_add(1).ok_or_else(|| Error::new(Code::Internal, "no handle left"))?;
        store.held.push((store.last, held));
        Ok(store.last)
    })
}

/// Keeps a policy.
pub fn hold_policy(policy: Policy) -> Result<u32, Error> {
    hold(Held::Policy(Rc::new(policy)))
}

/// Keeps a filter.
pub fn hold_filter(filter: Revocations) -> Result<u32, Error> {
    hold(Held::Filter(Rc::new(filter)))
}

/// Keeps a keyring.
pub fn hold_keyring(keyring: Keyring) -> Result<u32, Error> {
    hold(Held::Keyring(Rc::new(keyring)))
}

/// Keeps the grants of a leaf.
pub fn hold_leaf(grants: Vec<Grant>) -> Result<u32, Error> {
    hold(Held::Leaf(grants))
}

/// Keeps a need.
pub fn hold_need(need: Kept) -> Result<u32, Error> {
    hold(Held::Need(need))
}

/// Runs `run` on the grants of `leaf`.
pub fn with_leaf<T>(leaf: u32, run: impl FnOnce(&[Grant]) -> T) -> Option<T> {
    STORE.with_borrow(|store| match store.find(leaf) {
        Some(Held::Leaf(grants)) => Some(run(grants)),
        _ => None,
    })
}

/// Runs `run` on the grants of `leaf` and what is kept as `need`.
pub fn with_kept<T>(leaf: u32, need: u32, run: impl FnOnce(&[Grant], &Kept) -> T) -> Option<T> {
    STORE.with_borrow(|store| match (store.find(leaf), store.find(need)) {
        (Some(Held::Leaf(grants)), Some(Held::Need(need))) => Some(run(grants, need)),
        _ => None,
    })
}

/// Gives back what a handle keeps; keys are overwritten.
pub fn free(handle: u32) {
    STORE.with_borrow_mut(|store| store.held.retain(|(own, _)| *own != handle));
}

/// The policy of a handle.
pub fn policy(handle: u32) -> Result<Rc<Policy>, Error> {
    STORE.with_borrow(|store| match store.find(handle) {
        Some(Held::Policy(policy)) => Ok(Rc::clone(policy)),
        _ => Err(unknown("policy")),
    })
}

/// The filter of a handle.
pub fn filter(handle: u32) -> Result<Rc<Revocations>, Error> {
    STORE.with_borrow(|store| match store.find(handle) {
        Some(Held::Filter(filter)) => Ok(Rc::clone(filter)),
        _ => Err(unknown("filter")),
    })
}

/// The keyring of a handle.
pub fn keyring(handle: u32) -> Result<Rc<Keyring>, Error> {
    STORE.with_borrow(|store| match store.find(handle) {
        Some(Held::Keyring(keyring)) => Ok(Rc::clone(keyring)),
        _ => Err(unknown("keyring")),
    })
}

/// Says which file this core is.
pub fn name_core(hash: String) {
    STORE.with_borrow_mut(|store| store.core = hash.into());
}

/// Which file this core is.
pub fn core() -> Rc<str> {
    STORE.with_borrow(|store| Rc::clone(&store.core))
}

/// Runs `run` with what the isolate remembers.
pub fn with_memory<T>(run: impl FnOnce(&Memory) -> T) -> T {
    MEMORY.with_borrow(run)
}

/// Runs `run` with what a gateway decides by and what the isolate remembers.
pub fn with_site<T>(
    policy_handle: u32,
    tickets: u32,
    run: impl FnOnce(&Site<'_>, &mut Memory) -> Result<T, Error>,
) -> Result<T, Error> {
    let (policy, keyring) = (policy(policy_handle)?, keyring(tickets)?);
    let core = core();
    let site = Site { policy: &policy, tickets: (tickets, &keyring), core: &core };
    MEMORY.with_borrow_mut(|memory| run(&site, memory))
}
