//! Giving custody what was sealed: stamps first, then as much as there is room for.

use super::Post;
use super::outbox::{FED, Stage};
use super::types::{Job, Output};
use crate::proto::custody::MessageId as DepositId;
use crate::proto::custody::deposit::Deposit;
use crate::proto::custody::depositor::Input as Depositing;
use crate::proto::custody::stamp;
use crate::proto::custody::tag::Gate;
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
        let Some(sealed) = parcel
            .sealed
            .as_mut()
            .filter(|sealed| sealed.deposit.is_none())
        else {
            return;
        };
        let envelope = sealed.envelope.clone();
        let deposit = Deposit::by_stranger(sealed.terms, sealed.expiry, nonce, envelope);
        let Gate::Stamp(bits) = sealed.terms.gate else {
            return;
        };
        if deposit.header().strength() < bits {
            return self.search(job.0);
        }
        sealed.deposit = Some(deposit);
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
        if let Some(sealed) = &parcel.sealed
            && let Gate::Stamp(bits) = sealed.terms.gate
        {
            self.out.push_back(Output::Stamp {
                job: Job(id),
                prefix: stamp::prefix(sealed.terms.tag(), id, sealed.expiry),
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
                .is_some_and(|sealed| sealed.deposit.is_some())
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
            if let Some((deposit, relays)) =
                sealed.and_then(|sealed| Some((sealed.deposit.clone()?, sealed.relays.clone())))
            {
                self.deposit(Depositing::Send {
                    deposit,
                    relays,
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
