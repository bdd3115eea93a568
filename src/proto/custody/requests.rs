//! What strangers sent, on the reader's side: few, the strongest stamps first.
//!
//! Custodians let in what pays the price; here the reader bounds what is left of it. A weaker request makes room for a stronger
//! one. Whom the person blocks is up to the page, which alone knows who wrote what.

use super::MessageId;
use crate::proto::ordered::Set;

/// Requests that wait at most: about as many as a person looks through in a week.
pub const MAX_REQUESTS: usize = 64;

/// The queue: ids, by the strength of their stamps.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    waiting: Set<(u8, MessageId)>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It waits, and this one no longer, if any: delete that.
    Waits(Option<MessageId>),
    /// It is weaker than all that wait: delete it.
    Weaker,
    /// It waits already.
    Known,
}

impl Requests {
    /// Takes a request with a stamp of so many bits.
    pub fn add(&mut self, id: MessageId, strength: u8) -> Admitted {
        if self.waiting.iter().any(|(_, other)| *other == id) {
            return Admitted::Known;
        }
        if self.waiting.len() < MAX_REQUESTS {
            self.waiting.insert((strength, id));
            return Admitted::Waits(None);
        }
        match self.waiting.first().copied() {
            Some(weakest) if weakest < (strength, id) => {
                self.waiting.remove(&weakest);
                self.waiting.insert((strength, id));
                Admitted::Waits(Some(weakest.1))
            }
            _ => Admitted::Weaker,
        }
    }

    /// The person answered it, or refused.
    pub fn remove(&mut self, id: MessageId) {
        self.waiting.retain(|(_, other)| *other != id);
    }

    /// Those that wait, the strongest first.
    pub fn iter(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.waiting.iter().rev().map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::custody::tag::Tag;

    fn id(n: u32) -> MessageId {
        MessageId::of(Tag([0; 32]), &n.to_be_bytes())
    }

    #[test]
    fn the_strongest_stay() {
        let mut requests = Requests::default();
        for n in 0..MAX_REQUESTS as u32 {
            assert_eq!(
                requests.add(id(n), 22 + (n == 5) as u8),
                Admitted::Waits(None)
            );
        }
        assert_eq!(requests.add(id(5), 23), Admitted::Known);
        assert_eq!(requests.add(id(100), 21), Admitted::Weaker);
        let Admitted::Waits(Some(gone)) = requests.add(id(101), 30) else {
            panic!("a stronger one waits");
        };
        assert!(requests.iter().all(|other| other != gone));
        assert_eq!(
            requests.iter().take(2).collect::<Vec<_>>(),
            [id(101), id(5)]
        );
        assert_eq!(requests.iter().count(), MAX_REQUESTS);
        requests.remove(id(101));
        assert_eq!(requests.add(id(102), 0), Admitted::Waits(None));
    }
}
