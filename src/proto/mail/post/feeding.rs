//! Giving custody what was sealed: stamps first, then as much as there is room for.

use super::Post;
use super::outbox::{FED, Stage};
use super::types::{Job, Output, Ref};
use crate::proto::custody::MessageId as DepositId;
use crate::proto::custody::deposit::Deposit;
use crate::proto::custody::depositor::Input as Depositing;
use crate::proto::custody::keep::Keep;
use crate::proto::sorting::sort_by_key;

impl Post {
    /// A search for a stamp has ended.
    pub(super) fn stamped(&mut self, job: Job, nonce: u64) {
        let Some((id, to)) = self.under_way.get(&job.0).copied() else {
            return;
        };
        let Some(parcel) = self
            .outbox
            .get_mut(&id)
            .and_then(|outgoing| outgoing.parcel(to))
        else {
            return;
        };
        let Some(sealed) = parcel.sealed.as_mut() else {
            return;
        };
        let Some((_, bits)) = sealed.owes() else {
            return;
        };
        let (terms, expiry) = (sealed.terms, sealed.expiry);
        match &sealed.keep {
            Some(keep) if sealed.deposit.is_some() => {
                let (id, blobs) = (keep.message(), keep.blobs().to_vec());
                sealed.keep = Keep::by_stranger(terms, expiry, nonce, id, blobs);
            }
            _ => {
                let envelope = sealed.envelope.clone();
                let deposit = Deposit::by_stranger(terms, expiry, nonce, envelope);
                let strong = deposit.header().strength() >= bits;
                sealed.deposit = strong.then_some(deposit);
            }
        }
        if sealed.owes().is_some() {
            self.save_sealed(id, to);
            return self.search(job.0);
        }
        parcel.stage = Stage::Looking;
        self.save_sealed(id, to);
        self.save_outgoing(id);
        self.tell(id, to);
    }

    /// Has a stamp searched for.
    pub(super) fn search(&mut self, id: DepositId) {
        let Some((message, to)) = self.under_way.get(&id).copied() else {
            return;
        };
        let Some(parcel) = self
            .outbox
            .get_mut(&message)
            .and_then(|outgoing| outgoing.parcel(to))
        else {
            return;
        };
        let Some(sealed) = &parcel.sealed else {
            return;
        };
        if let Some((prefix, bits)) = sealed.owes() {
            let of = 1 + u8::from(sealed.keep.is_some());
            let paid = (u8::from(sealed.deposit.is_some()), of);
            self.out.push_back(Output::Stamp {
                job: Job(id),
                message: Ref::of(self.id, message),
                to,
                paid,
                prefix,
                bits,
            });
        }
    }

    /// Gives custody what it has room for: what is not stored yet before what is.
    pub(super) fn feed(&mut self) {
        let mut waiting = Vec::new();
        for (id, (message, to)) in &self.under_way {
            let parcel = self.outbox.get(message);
            let parcel =
                parcel.and_then(|outgoing| outgoing.parcels.iter().find(|parcel| parcel.to == *to));
            let Some(parcel) = parcel.filter(|parcel| !parcel.fed) else {
                continue;
            };
            if parcel
                .sealed
                .as_ref()
                .is_some_and(|sealed| sealed.owes().is_none())
            {
                waiting.push((parcel.stage == Stage::Stored, *id));
            }
        }
        sort_by_key(&mut waiting, |parcel| *parcel);
        for (stored, id) in waiting {
            if self.depositor.len() >= FED && (stored || !self.make_way()) {
                return;
            }
            let (message, to) = self.under_way[&id];
            let Some(parcel) = self
                .outbox
                .get_mut(&message)
                .and_then(|outgoing| outgoing.parcel(to))
            else {
                continue;
            };
            parcel.fed = true;
            let sealed = parcel.sealed.as_ref();
            let Some(sealed) = sealed else { continue };
            if let Some(deposit) = sealed.deposit.clone() {
                let (relays, keep) = (sealed.relays.clone(), sealed.keep.clone());
                self.deposit(Depositing::Send {
                    deposit,
                    relays,
                    keep,
                    stored,
                });
            }
        }
    }

    /// One that is stored gives way; its custodians look after it.
    fn make_way(&mut self) -> bool {
        let stored = self.under_way.iter().find_map(|(id, (message, to))| {
            let parcel = self.outbox.get_mut(message)?.parcel(*to)?;
            (parcel.fed && parcel.stage == Stage::Stored).then(|| {
                parcel.fed = false;
                *id
            })
        });
        if let Some(id) = stored {
            self.deposit(Depositing::Done(id));
        }
        stored.is_some()
    }

    pub(super) fn not_taken(&mut self, id: DepositId) {
        if let Some((message, to)) = self.under_way.get(&id).copied()
            && let Some(parcel) = self
                .outbox
                .get_mut(&message)
                .and_then(|outgoing| outgoing.parcel(to))
        {
            parcel.fed = false;
        }
    }
}
