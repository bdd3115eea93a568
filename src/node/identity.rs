//! The key that is a node's identity on the network: kept in the store, made at the first start.
//!
//! In a network that asks custodians for work, only a key whose hash begins with so many zero bits counts as one. Native nodes search
//! for such a key before their first start. A page starts with any key, searches a little at a time while nothing else goes on,
//! and uses what it found from its next start on: links and reservations hang from the key that is in use.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use libp2p::identity::Keypair;
use zeroize::Zeroize;

use super::error::{Error, Result};
use super::event_loop::Shared;
use crate::net::custody::key_of;
use crate::proto::custody::region::is_qualified;
use crate::proto::keys::SiteKey;
use crate::rt;
use crate::store::Store;

/// Name of the stored value that holds the key.
const IDENTITY: &str = "identity";

/// Longest time for which a page may be kept from drawing: half of a frame at 60 Hz.
const SLICE: Duration = Duration::from_millis(8);

/// Pause between two slices, in which the page has its turn: so the search takes a third of one processor.
const PAUSE: Duration = Duration::from_millis(16);

/// Pause while transfers run.
const BUSY_PAUSE: Duration = Duration::from_secs(2);

/// Bytes a second, both ways, above which transfers run.
const BUSY: u64 = 16 * 1024;

/// The key, and whether a better one is to be searched for.
pub(super) async fn of<S: Store>(store: &S, bits: u8, first: bool) -> Result<(Keypair, bool)> {
    if let Some(stored) = store.value(IDENTITY).await? {
        match Keypair::from_protobuf_encoding(&stored) {
            Ok(key) => {
                let found = key_of(&key.public().to_peer_id());
                let qualified = found.is_some_and(|key| is_qualified(key, bits));
                return Ok((key, !qualified));
            }
            Err(error) => {
                rt::warning!(
                    error = error,
                    "the stored identity cannot be read: making a new one"
                )
            }
        }
    }
    let mut seed = rt::random();
    let mut qualified = bits == 0;
    while first && !qualified {
        match try_some(seed, bits) {
            Tried::Found(found) => (seed, qualified) = (found, true),
            Tried::None(next) => seed = next,
        }
        rt::yield_now().await;
    }
    let key = keypair(seed)?;
    keep(store, &key).await?;
    Ok((key, !qualified))
}

/// Searches while the node runs, and keeps what it finds for the next start.
pub(super) async fn search<S: Store>(store: S, shared: Weak<RefCell<Shared>>) {
    let mut seed = rt::random();
    loop {
        let pause = match shared.upgrade() {
            Some(shared) => {
                let shared = shared.borrow();
                let stats = &shared.snapshot.stats;
                if shared.stopped {
                    return;
                }
                match stats.up_rate + stats.down_rate > BUSY {
                    true => BUSY_PAUSE,
                    false => match try_some(seed, shared.puzzle_bits) {
                        Tried::Found(found) => {
                            seed = found;
                            break;
                        }
                        Tried::None(next) => {
                            seed = next;
                            PAUSE
                        }
                    },
                }
            }
            None => return,
        };
        rt::sleep(pause).await;
    }
    let kept = match keypair(seed) {
        Ok(key) => keep(&store, &key).await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(()) => tracing::info!("an id that custodians may have is there for the next start"),
        Err(error) => rt::warning!(error = error, "the id that was found is not kept"),
    }
}

enum Tried {
    /// The seed of a key that shows the work.
    Found([u8; 32]),
    /// Where to go on.
    None([u8; 32]),
}

/// Tries keys for one slice of time.
fn try_some(mut seed: [u8; 32], bits: u8) -> Tried {
    let until = rt::now() + SLICE;
    while rt::now() < until {
        let key = SiteKey::from_seed(seed).name();
        if is_qualified(crate::proto::custody::PeerId(key.0), bits) {
            return Tried::Found(seed);
        }
        // Where it begins is random, so all that follow are.
        seed = blake3::derive_key(NEXT_CONTEXT, &seed);
    }
    Tried::None(seed)
}

fn keypair(mut seed: [u8; 32]) -> Result<Keypair> {
    let key = Keypair::ed25519_from_bytes(&mut seed);
    seed.zeroize();
    key.map_err(|error| Error::Internal(error.to_string()))
}

async fn keep<S: Store>(store: &S, key: &Keypair) -> Result<()> {
    let encoded = key
        .to_protobuf_encoding()
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(store.set_value(IDENTITY, Some(encoded.into())).await?)
}

const NEXT_CONTEXT: &str = "gyre 2026-11-23 the next key that is tried";
