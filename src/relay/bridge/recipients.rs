//! Who is behind an address of the bridge's domain: an id, or an alias of the operator's; and whether they have a mailbox.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::BridgeError;
use crate::node::Node;
use crate::proto::identity::card::Card;
use crate::proto::identity::{Id, record as identities};
use crate::proto::mail::record;
use crate::rt;
use crate::store::Store;

/// Aliases at most. Ours: a file of a few hundred kilobytes.
const MAX_ALIASES: usize = 10_000;

/// How long an answer counts: somebody who was found, and somebody who was not.
const FOUND_FOR: Duration = Duration::from_secs(10 * 60);
const MISSED_FOR: Duration = Duration::from_secs(20);

/// Answers that are remembered.
const MAX_KNOWN: usize = 4096;

/// Whether somebody has a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Yes(Id),
    /// It is no name here, and no id.
    No,
    /// Nobody was found under it, which is no proof: who was away for long, and whose relays began anew, is found when they are back.
    NotNow,
}

/// The addresses of a domain.
pub(super) struct Recipients {
    aliases: BTreeMap<String, Id>,
    known: RefCell<BTreeMap<Id, (bool, Duration)>>,
}

impl Recipients {
    /// Reads the file of aliases: a name and an id, a card or a link on each line; `#` begins a remark.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, BridgeError> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| BridgeError::File {
                path: path.to_owned(),
                reason: error.to_string(),
            })?,
        };
        let aliases = aliases(&text).map_err(|line| BridgeError::File {
            path: file.unwrap_or(Path::new("")).to_owned(),
            reason: format!("line {line} is no \"name id\""),
        })?;
        Ok(Self {
            aliases,
            known: RefCell::default(),
        })
    }

    /// Whose address this is, by its part before the `@`; what follows a `+` says nothing of whom.
    pub(super) fn id(&self, local: &str) -> Option<Id> {
        let local = local.to_ascii_lowercase();
        let name = local
            .split_once('+')
            .map_or(local.as_str(), |(name, _)| name);
        let alias = self.aliases.get(name).copied();
        alias.or_else(|| Id::parse(name).ok())
    }

    /// Looks whether they have a mailbox.
    pub(super) async fn find<S: Store>(&self, local: &str, node: &Node<S>) -> Found {
        let Some(id) = self.id(local) else {
            return Found::No;
        };
        let now = rt::now();
        let known = self.known.borrow().get(&id).copied();
        let there = match known.filter(|(_, until)| *until > now) {
            Some((there, _)) => there,
            None => {
                let there = has_mailbox(node, id).await;
                let mut known = self.known.borrow_mut();
                if known.len() >= MAX_KNOWN {
                    known.retain(|_, (_, until)| *until > now);
                }
                if known.len() < MAX_KNOWN {
                    let counts = if there { FOUND_FOR } else { MISSED_FOR };
                    known.insert(id, (there, now + counts));
                }
                there
            }
        };
        match there {
            true => Found::Yes(id),
            false => Found::NotNow,
        }
    }
}

/// Whether an identity and what mail is sealed to can be had.
async fn has_mailbox<S: Store>(node: &Node<S>, id: Id) -> bool {
    let now = rt::unix_millis() / 1000;
    let key = identities::routing_key(id);
    let chains = node.custody().record(&key).await.unwrap_or_default();
    let chains = chains
        .iter()
        .filter_map(|value| identities::validate(&key, value, None, now).ok());
    let keys = chains.filter(|chain| !chain.state().ended);
    let keys: Vec<_> = keys.filter_map(|chain| chain.state().mail).collect();
    for mail in keys {
        let key = record::routing_key(mail);
        let records = node.custody().record(&key).await.unwrap_or_default();
        let fine = |value: &bytes::Bytes| record::validate(&key, value, now).is_ok();
        if records.iter().any(fine) {
            return true;
        }
    }
    false
}

/// The number of a line that cannot be read, or all.
fn aliases(text: &str) -> Result<BTreeMap<String, Id>, usize> {
    let mut aliases = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
        if line.is_empty() {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(whom), None) = (words.next(), words.next(), words.next()) else {
            return Err(number);
        };
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let whom = Card::parse(whom).map_err(|_| number)?;
        if name.len() > 64 || !name.bytes().all(fine) || aliases.len() >= MAX_ALIASES {
            return Err(number);
        }
        aliases.insert(name.to_ascii_lowercase(), whom.id);
    }
    Ok(aliases)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_names_an_alias_or_an_id() {
        let id = Id([7; 32]);
        let read = Recipients {
            aliases: aliases(&format!("# people\n\nZoe {id}\nbob dmail:{id} # both\n")).unwrap(),
            known: RefCell::default(),
        };
        for local in ["zoe", "ZOE", "bob+lists", &id.to_string()] {
            assert_eq!(read.id(local), Some(id), "{local}");
        }
        assert_eq!(read.id("mallory"), None);
        assert_eq!(aliases("zoe\n"), Err(1));
        assert_eq!(aliases(&format!("\nz/oe {id}\n")), Err(2));
        assert_eq!(aliases(&format!("zoe {id} more\n")), Err(1));
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(text in "(\\PC|\n){0,200}") {
            let _ = aliases(&text);
        }
    }
}
