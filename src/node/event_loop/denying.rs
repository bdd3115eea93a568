//! What the denylists in force mean for what is here.

use super::EventLoop;
use crate::node::error::Error;
use crate::proto::swarm::Input;
use crate::proto::types::BlobHash;
use crate::store::Store;

impl<S: Store> EventLoop<S> {
    pub(super) fn is_denied(&self, blob: BlobHash) -> bool {
        self.shared.borrow().denylist.denies_blob(blob)
    }

    /// Other lists are in force: what is denied now stops, what no longer is goes on.
    pub(super) fn on_denylist(&mut self) {
        let code = Error::Denied.code();
        let blobs: Vec<_> = self.transfers.keys().copied().collect();
        for blob in blobs {
            let denied = self.is_denied(blob);
            let Some(transfer) = self.transfers.get_mut(&blob) else {
                continue;
            };
            let was_denied = transfer.has_problem(code);
            if denied && !was_denied {
                transfer.set_problem(&Error::Denied);
                transfer.fail(|| Error::Denied);
                transfer.announced = false;
                self.withdraw(blob);
                self.end_sessions_of(blob);
                self.tell_swarm(blob, Input::Pause);
                self.set_wanted(blob);
                self.kept_is_lost(blob);
            } else if was_denied && !denied {
                transfer.clear_problem();
                if !transfer.meta.paused {
                    self.tell_swarm(blob, Input::Resume);
                }
                self.set_wanted(blob);
                self.announce_if_due(blob);
            }
        }
    }
}
