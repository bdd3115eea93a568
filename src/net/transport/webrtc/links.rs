//! Which connections to a peer are worth keeping, relayed and direct ones; knows no libp2p but the ids.
//!
//! *Relayed*: closed when no signalling runs on it and either a direct connection is up (after a short linger) or nothing
//! came for a while. One that somebody else dialled is left alone until there is a direct connection.
//!
//! *Direct*: when both sides dial each other at once, two connections come up. Both sides keep the one that the lower
//! peer id dialled and close the other after a delay. The rule applies only to attempts that overlapped: a page that was
//! reloaded dials anew while its old connection has not been missed yet, and there the old one must not win. One whose path is
//! lost goes as soon as another is up.

use std::time::Duration;

use crate::proto::ordered::{Map, Set};
use libp2p::{PeerId, swarm::ConnectionId};
use web_time::Instant;

#[derive(Debug)]
pub(super) struct Links {
    local: PeerId,
    idle: Duration,
    linger: Duration,
    glare_delay: Duration,
    circuits: Map<ConnectionId, Circuit>,
    directs: Map<ConnectionId, Direct>,
    /// Peers that dialled us while we dialled them and when, until one attempt fails or both are up.
    crossed: Map<PeerId, Instant>,
    crossing: Duration,
    /// Peers whose circuits carry more than signalling while there is no direct connection.
    spared: Set<PeerId>,
}

#[derive(Debug)]
struct Circuit {
    peer: PeerId,
    /// Dialled by somebody else in this process: not ours to close for being idle.
    foreign: bool,
    /// Signalling streams that are live on it.
    signalling: usize,
    close_at: Option<Instant>,
}

#[derive(Debug)]
struct Direct {
    peer: PeerId,
    outbound: bool,
    /// Its path is lost for now.
    shaky: bool,
    close_at: Option<Instant>,
}

impl Links {
    /// `crossing` is how long two attempts that met may take, the time limit of a handshake.
    pub(super) fn new(
        local: PeerId,
        idle: Duration,
        linger: Duration,
        glare_delay: Duration,
        crossing: Duration,
    ) -> Self {
        Self {
            local,
            idle,
            linger,
            glare_delay,
            circuits: Map::new(),
            directs: Map::new(),
            crossed: Map::new(),
            crossing,
            spared: Set::new(),
        }
    }

    /// Whether circuits to this peer are left alone until there is a direct connection. The caller bounds the peers.
    pub(super) fn spare(&mut self, peer: PeerId, spared: bool) {
        if spared {
            self.spared.insert(peer);
            let circuits = self.circuits.values_mut();
            for circuit in circuits.filter(|circuit| circuit.peer == peer) {
                circuit.close_at = None;
            }
        } else {
            self.spared.remove(&peer);
        }
    }

    /// The path of the direct connections to the peer is lost, or back.
    pub(super) fn shaky(&mut self, peer: &PeerId, shaky: bool) {
        for direct in self.directs.values_mut().filter(|d| d.peer == *peer) {
            direct.shaky = shaky;
        }
    }

    /// A relayed connection is up.
    pub(super) fn circuit_up(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        foreign: bool,
        now: Instant,
    ) {
        let close_at = (!foreign && !self.spared.contains(&peer)).then(|| now + self.idle);
        self.circuits.insert(
            id,
            Circuit {
                peer,
                foreign,
                signalling: 0,
                close_at,
            },
        );
    }

    /// A direct connection is up.
    pub(super) fn direct_up(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        outbound: bool,
        now: Instant,
    ) {
        for old in self.directs.values_mut() {
            if old.peer == peer && old.shaky {
                old.close_at = Some(now);
            }
        }
        self.directs.insert(
            id,
            Direct {
                peer,
                outbound,
                shaky: false,
                close_at: None,
            },
        );
        let crossing = self
            .directs
            .values()
            .any(|d| d.peer == peer && d.outbound != outbound);
        if crossing
            && let Some(met) = self.crossed.remove(&peer)
            && now <= met + self.crossing
        {
            let keep_outbound = self.local < peer;
            for direct in self.directs.values_mut() {
                if direct.peer == peer && direct.outbound != keep_outbound && !direct.shaky {
                    direct.close_at = Some(now + self.glare_delay);
                }
            }
        }
        let linger = now + self.linger;
        for circuit in self.circuits.values_mut().filter(|c| c.peer == peer) {
            circuit.close_at = Some(linger);
        }
    }

    /// A connection, whichever, is gone.
    pub(super) fn down(&mut self, id: ConnectionId) {
        self.circuits.remove(&id);
        self.directs.remove(&id);
    }

    /// Both sides are dialling each other.
    pub(super) fn crossed(&mut self, peer: PeerId, now: Instant) {
        // Attempts that were given up leave their entry; attempts are bounded, and so is what is left of them.
        self.crossed.retain(|_, met| now <= *met + self.crossing);
        self.crossed.insert(peer, now);
    }

    /// An attempt did not come to anything, so there is nothing to choose between.
    pub(super) fn uncrossed(&mut self, peer: &PeerId) {
        self.crossed.remove(peer);
    }

    /// A relayed connection to the peer that is up.
    pub(super) fn circuit_to(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.circuits
            .iter()
            .find(|(_, circuit)| circuit.peer == *peer)
            .map(|(id, _)| *id)
    }

    /// Whether a direct connection to the peer is up.
    pub(super) fn is_direct(&self, peer: &PeerId) -> bool {
        self.directs.values().any(|direct| direct.peer == *peer)
    }

    /// A signalling stream lives on this connection from now on.
    pub(super) fn hold(&mut self, id: ConnectionId) {
        if let Some(circuit) = self.circuits.get_mut(&id) {
            circuit.signalling += 1;
        }
    }

    /// A signalling stream on this connection is gone.
    pub(super) fn release(&mut self, id: ConnectionId, now: Instant) {
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        circuit.signalling = circuit.signalling.saturating_sub(1);
        circuit.close_at = if self.directs.values().any(|d| d.peer == circuit.peer) {
            Some(now + self.linger)
        } else {
            let alone = circuit.foreign || self.spared.contains(&circuit.peer);
            (!alone).then(|| now + self.idle)
        };
    }

    /// The next connection to be closed now; drain it until `None`.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(PeerId, ConnectionId)> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let circuit = self
            .circuits
            .iter()
            .find(|(_, c)| c.signalling == 0 && due(c.close_at))
            .map(|(id, c)| (c.peer, *id));
        if let Some((peer, id)) = circuit {
            // Out of the table, so that no attempt picks it while it closes.
            self.circuits.remove(&id);
            return Some((peer, id));
        }
        loop {
            let (id, peer) = self
                .directs
                .iter()
                .find(|(_, d)| due(d.close_at))
                .map(|(id, d)| (*id, d.peer))?;
            // The one to be kept may have died meanwhile.
            let other_is_up = self
                .directs
                .values()
                .any(|d| d.peer == peer && d.close_at.is_none());
            if other_is_up {
                self.directs.remove(&id);
                return Some((peer, id));
            }
            if let Some(direct) = self.directs.get_mut(&id) {
                direct.close_at = None;
            }
        }
    }

    /// When [`Links::expired`] will next have something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let circuits = self.circuits.values().filter(|c| c.signalling == 0);
        circuits
            .filter_map(|c| c.close_at)
            .chain(self.directs.values().filter_map(|d| d.close_at))
            .min()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const LINGER: Duration = Duration::from_secs(2);
    const GLARE: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Us with the lower or the higher peer id, and the other.
    fn links(lower: bool) -> (Links, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        let (low, high) = (a.min(b), a.max(b));
        let (local, remote) = if lower { (low, high) } else { (high, low) };
        (Links::new(local, IDLE, LINGER, GLARE, TIMEOUT), remote)
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    #[test]
    fn a_circuit_without_signalling_is_closed_unless_it_is_foreign() {
        let (mut links, peer) = links(true);
        let now = Instant::now();
        links.circuit_up(id(1), peer, false, now);
        links.circuit_up(id(2), peer, true, now);
        assert_eq!(links.deadline(), Some(now + IDLE));
        assert_eq!(links.expired(now), None);
        assert_eq!(links.expired(now + IDLE), Some((peer, id(1))));
        assert_eq!(links.expired(now + IDLE), None);
        assert_eq!(links.deadline(), None);
        assert_eq!(links.circuit_to(&peer), Some(id(2)));
    }

    #[test]
    fn signalling_holds_a_circuit_and_the_upgrade_lets_it_go() {
        let (mut links, peer) = links(true);
        let now = Instant::now();
        links.circuit_up(id(1), peer, false, now);
        links.hold(id(1));
        links.hold(id(1));
        assert_eq!(links.expired(now + IDLE * 2), None);
        links.release(id(1), now);
        links.direct_up(id(2), peer, true, now);
        assert_eq!(links.deadline(), None);
        assert_eq!(links.expired(now + IDLE), None);
        links.release(id(1), now);
        assert_eq!(links.deadline(), Some(now + LINGER));
        assert_eq!(links.expired(now + LINGER), Some((peer, id(1))));
        assert!(links.is_direct(&peer));
    }

    #[test]
    fn of_two_crossing_connections_the_lower_peers_is_kept() {
        for lower in [true, false] {
            let (mut links, peer) = links(lower);
            let now = Instant::now();
            links.crossed(peer, now);
            links.direct_up(id(1), peer, true, now);
            links.direct_up(id(2), peer, false, now);
            let loser = if lower { id(2) } else { id(1) };
            assert_eq!(links.expired(now), None);
            assert_eq!(links.expired(now + GLARE), Some((peer, loser)));
            assert_eq!(links.expired(now + GLARE), None);
        }
    }

    #[test]
    fn the_loser_stays_when_the_winner_has_died() {
        let (mut links, peer) = links(true);
        let now = Instant::now();
        links.crossed(peer, now);
        links.direct_up(id(1), peer, true, now);
        links.direct_up(id(2), peer, false, now);
        links.down(id(1));
        assert_eq!(links.expired(now + GLARE), None);
        assert_eq!(links.deadline(), None);
        assert!(links.is_direct(&peer));
    }

    #[test]
    fn a_connection_whose_path_is_lost_goes_when_another_is_up() {
        let (mut links, peer) = links(true);
        let now = Instant::now();
        links.direct_up(id(1), peer, true, now);
        links.shaky(&peer, true);
        assert_eq!(links.expired(now), None, "it may come back");
        links.direct_up(id(2), peer, false, now);
        assert_eq!(links.expired(now), Some((peer, id(1))));
        assert_eq!(links.expired(now), None);
        // One that came back stays.
        links.shaky(&peer, true);
        links.shaky(&peer, false);
        links.direct_up(id(3), peer, false, now);
        assert_eq!(links.expired(now), None);
    }

    #[test]
    fn a_spared_circuit_stays_until_there_is_a_direct_connection() {
        let (mut links, peer) = links(true);
        let now = Instant::now();
        links.circuit_up(id(1), peer, false, now);
        links.spare(peer, true);
        links.circuit_up(id(2), peer, false, now);
        links.hold(id(2));
        links.release(id(2), now);
        assert_eq!(links.deadline(), None);
        links.direct_up(id(3), peer, true, now);
        assert_eq!(links.deadline(), Some(now + LINGER));
    }

    #[test]
    fn a_reloaded_page_is_not_a_crossing() {
        let (mut links, peer) = links(true);
        let now = Instant::now();
        links.direct_up(id(1), peer, true, now);
        links.direct_up(id(2), peer, false, now);
        assert_eq!(links.deadline(), None);
        // Neither is an attempt that crossed but failed.
        links.crossed(peer, now);
        links.uncrossed(&peer);
        links.direct_up(id(3), peer, true, now);
        assert_eq!(links.deadline(), None);
        // Nor one that was given up long ago.
        links.crossed(peer, now);
        links.direct_up(id(4), peer, true, now + TIMEOUT * 2);
        assert_eq!(links.deadline(), None);
    }
}
