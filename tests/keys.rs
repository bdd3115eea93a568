//! A person's keys in a node: made, written down, locked, restored elsewhere.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use gyre::node::Error;
use gyre::node::keys::{MAX_LOCKS, State, With};
use gyre::proto::keys::locked::{Lock, WrappingKey};
use gyre::proto::keys::passphrase::Work;
use gyre::proto::keys::phrase::ENGLISH;
use gyre::store::memory::MemoryStore;

mod kit;

use kit::{Peer, run};

/// So little that an unoptimised build does it at once.
const WORK: Work = Work {
    memory: 64,
    passes: 1,
    lanes: 1,
};

fn passphrase(words: &str) -> With {
    let salt = [3; 16];
    With::passphrase(words, Lock::Passphrase { salt, work: WORK }).unwrap()
}

fn passkey(byte: u8) -> With {
    With::External {
        salt: [byte; 16],
        key: WrappingKey::new([byte; 32]),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code()
}

async fn name(peer: &Peer, number: u32) -> String {
    peer.keys()
        .site_key(number)
        .await
        .unwrap()
        .name()
        .to_string()
}

#[test]
fn whoever_has_the_words_has_the_sites() {
    run(async |scene| {
        let first = scene.node().early().await;
        assert_eq!(first.keys().state().await.unwrap(), State::Missing);
        assert_eq!(code(first.keys().site_key(0).await), "NO_KEYS");
        first.keys().create().await.unwrap();
        assert_eq!(code(first.keys().create().await), "KEYS_EXIST");
        let names = [name(&first, 0).await, name(&first, 1).await];
        assert_ne!(names[0], names[1]);
        let phrase = first.keys().phrase(ENGLISH).await.unwrap();
        assert_eq!(phrase.split(' ').count(), 24);
        first.stop().await;

        let second = scene.node().early().await;
        let keys = second.keys();
        assert_eq!(code(keys.restore(ENGLISH, "zoo zoo").await), "BAD_PHRASE");
        assert_eq!(code(keys.restore("zoo", &phrase).await), "BAD_PHRASE");
        keys.restore(ENGLISH, &phrase).await.unwrap();
        assert_eq!(names, [name(&second, 0).await, name(&second, 1).await]);
        // Again is no harm, another secret is refused until this one is forgotten.
        keys.restore(ENGLISH, &phrase).await.unwrap();
        let other = format!("{} art", ["abandon"; 23].join(" "));
        assert_eq!(code(keys.restore(ENGLISH, &other).await), "KEYS_EXIST");
        keys.forget().await.unwrap();
        keys.restore(ENGLISH, &other).await.unwrap();
        assert_ne!(names[0], name(&second, 0).await);
    });
}

#[test]
fn locked_keys_stay_locked_until_one_of_their_locks_is_opened() {
    run(async |scene| {
        let store = MemoryStore::new();
        let peer = scene.node().early().on(&store).await;
        peer.keys().create().await.unwrap();
        let site = name(&peer, 0).await;
        assert_eq!(code(peer.keys().add_lock(passkey(1)).await), "BAD_OPTIONS");
        peer.keys().set_lock(passphrase("open")).await.unwrap();
        peer.keys().add_lock(passkey(1)).await.unwrap();
        assert!(matches!(
            peer.keys().state().await.unwrap(),
            State::Unlocked(locks) if locks.len() == 2
        ));
        peer.keys().lock();
        assert_eq!(code(peer.keys().site_key(0).await), "LOCKED");
        peer.stop().await;

        let peer = scene.node().early().on(&store.reopen()).await;
        let State::Locked(locks) = peer.keys().state().await.unwrap() else {
            panic!("a restart locks them");
        };
        assert!(matches!(
            locks[..],
            [Lock::Passphrase { .. }, Lock::External { .. }]
        ));
        let wrong = peer.keys().unlock(passphrase("sesame")).await;
        assert_eq!(code(wrong), "WRONG_PASSPHRASE");
        assert_eq!(
            code(peer.keys().unlock(passkey(2)).await),
            "WRONG_PASSPHRASE"
        );
        assert_eq!(
            code(peer.keys().unlock(With::Nothing).await),
            "WRONG_PASSPHRASE"
        );
        assert_eq!(code(peer.keys().phrase(ENGLISH).await), "LOCKED");
        for with in [passkey(1), passphrase("open")] {
            peer.keys().unlock(with).await.unwrap();
            assert_eq!(name(&peer, 0).await, site);
            peer.keys().lock();
        }
        peer.keys().unlock(passkey(1)).await.unwrap();
        for byte in 2..MAX_LOCKS as u8 {
            peer.keys().add_lock(passkey(byte)).await.unwrap();
        }
        assert_eq!(code(peer.keys().add_lock(passkey(9)).await), "BAD_OPTIONS");
    });
}

#[test]
fn a_key_file_moves_the_keys_to_another_machine() {
    run(async |scene| {
        let first = scene.node().early().await;
        first.keys().create().await.unwrap();
        let file = first.keys().export(passphrase("open")).await.unwrap();
        let second = scene.node().early().await;
        let keys = second.keys();
        assert_eq!(
            code(keys.import(b"junk", With::Nothing).await),
            "BAD_KEY_FILE"
        );
        let wrong = keys.import(&file, passphrase("sesame")).await;
        assert_eq!(code(wrong), "WRONG_PASSPHRASE");
        keys.import(&file, passphrase("open")).await.unwrap();
        assert_eq!(name(&first, 3).await, name(&second, 3).await);
    });
}
