//! A chain in an index: its key, what a holder accepts, and which of several answers counts.
//!
//! The value is the chain itself, under a key of a namespace of its own. It proves itself, so anybody may put it there again, and no
//! holder has to trust whoever does. A holder that has one already goes by [`Lineage`](super::fork::Lineage), which
//! remembers since when.

use super::chain::Chain;
use super::fork::{self, Seen};
use super::{Id, IdentityError};

/// What the key of a chain begins with.
pub const NAMESPACE: &[u8] = b"/gyre/id/";

/// Bytes of a key.
pub const ROUTING_KEY_LEN: usize = NAMESPACE.len() + 32;

/// The key under which the chain of an identity stands.
pub fn routing_key(id: Id) -> [u8; ROUTING_KEY_LEN] {
    let mut key = [0; ROUTING_KEY_LEN];
    key[..NAMESPACE.len()].copy_from_slice(NAMESPACE);
    key[NAMESPACE.len()..].copy_from_slice(&id.0);
    key
}

/// The identity of a key; `None` for keys of other namespaces.
pub fn of_routing_key(key: &[u8]) -> Option<Id> {
    let id = key.strip_prefix(NAMESPACE)?;
    Some(Id(id.try_into().ok()?))
}

/// Checks a value that was put under a key, at `now` in seconds since 1970. What it begins with is not verified again if a chain of
/// the identity is known.
///
/// # Errors
/// Any [`IdentityError`]; `OtherIdentity` for a key of another namespace.
pub fn validate(
    key: &[u8],
    value: &[u8],
    known: Option<&Chain>,
    now: u64,
) -> Result<Chain, IdentityError> {
    let id = of_routing_key(key).ok_or(IdentityError::OtherIdentity)?;
    let chain = match known.filter(|known| known.id() == id) {
        Some(known) => Chain::parse_after(known, value)?,
        None => Chain::parse(id, value)?,
    };
    chain.check_time(now)?;
    Ok(chain)
}

/// Which of the answers counts for somebody who knows nothing of the identity yet, by its place; those that are not valid do not.
pub fn select(key: &[u8], values: &[&[u8]], now: u64) -> Option<usize> {
    let mut valid: Vec<Option<Chain>> = Vec::with_capacity(values.len());
    for value in values {
        // Answers are mostly the same, so each is read as what follows the longest before it.
        let known = valid.iter().flatten().max_by_key(|chain| chain.ops().len());
        let chain = validate(key, value, known, now).ok();
        valid.push(chain);
    }
    let chains: Vec<_> = valid.iter().flatten().cloned().collect();
    let chosen = fork::choose(&chains, &Seen::default())?.head();
    valid
        .iter()
        .position(|chain| chain.as_ref().is_some_and(|chain| chain.head() == chosen))
}
