//! Caps and consent, measured at the one who receives.

use std::time::{Duration, Instant};

use gyre::node::snapshot::TransferState;
use gyre::node::{Config, Share};
use gyre::proto::limits::{Hold, Limits, Surroundings};
use gyre::proto::types::CHUNK_SIZE;
use gyre::store::memory::MemoryStore;

use super::kit::*;

const METERED: Surroundings = Surroundings {
    metered: true,
    on_battery: false,
};

/// What the receiver counts while the sender may send nothing, long enough for several attempts.
const WATCH: Duration = Duration::from_secs(3);

#[test]
fn nothing_leaves_before_consent_nor_after_it_is_withdrawn() {
    run(async |scene| {
        let first = scene.node().silent().await;
        let second = scene.node().await;
        assert_eq!(first.stats().upload_hold, Some(Hold::Unasked));
        let content = content(20_000_000, 1);
        let share = first.share(&content).await;
        let link = share.link.fragment();
        let early = tokio::time::timeout(WATCH, second.open(&link)).await;
        assert!(early.is_err(), "opened although nothing may be sent");
        assert_eq!((first.stats().up, second.stats().down), (0, 0));

        // Slow enough that it is under way when the person changes their mind.
        let slow = Limits {
            up_rate: Some(2_000_000),
            ..Limits::default()
        };
        first.set_limits(slow).await.unwrap();
        first.set_upload(true).await.unwrap();
        assert_eq!(read_some(&second, &link).await, content[..10]);
        first.set_upload(false).await.unwrap();
        until("off", || first.stats().upload_hold == Some(Hold::Refused)).await;
        // What was handed to the stream before may still arrive; from then on nothing does.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (up, down) = (first.stats().up, second.stats().down);
        assert!(
            up < content.len() as u64,
            "it was all sent before it was off"
        );
        tokio::time::sleep(WATCH).await;
        assert_eq!((first.stats().up, second.stats().down), (up, down));

        first.set_limits(Limits::default()).await.unwrap();
        first.set_upload(true).await.unwrap();
        second.complete(&share).await;
    });
}

async fn read_some(node: &Peer, link: &str) -> bytes::Bytes {
    node.open(link).await.unwrap().read(0, 10).await.unwrap()
}

#[test]
fn nothing_is_sent_on_a_metered_connection_unless_the_person_says_so() {
    run(async |scene| {
        let metered = |config: &mut Config| config.surroundings = METERED;
        let first = scene.node().with(metered).await;
        let second = scene.node().await;
        let ours = content(2_000_000, 2);
        let share = first.share(&ours).await;
        let link = share.link.fragment();
        assert!(
            tokio::time::timeout(WATCH, second.open(&link))
                .await
                .is_err()
        );
        assert_eq!(first.stats().upload_hold, Some(Hold::Metered));
        assert_eq!((first.stats().up, second.stats().down), (0, 0));
        // Fetching is what the person asked for: that goes on.
        let theirs = content(600_000, 3);
        let other = second.share(&theirs).await;
        assert_eq!(first.fetch(&other).await, theirs);

        let anyway = Limits {
            send_on_metered: true,
            pause_on_battery: true,
            ..Limits::default()
        };
        first.set_limits(anyway).await.unwrap();
        let file = second.open(&link).await.unwrap();
        assert_eq!(read(&file).await, ours);
        let on_battery = Surroundings {
            metered: true,
            on_battery: true,
        };
        first.set_surroundings(on_battery).await.unwrap();
        until("pauses", || {
            first.stats().upload_hold == Some(Hold::Battery)
        })
        .await;
        first.set_surroundings(METERED).await.unwrap();
        until("goes on", || first.stats().upload_hold.is_none()).await;
    });
}

/// Fetches `bytes` under a cap on either side; returns the rate that the receiver saw, from the first chunk to the last.
async fn rate_under(scene: &Scene, bytes: usize, up: Option<u64>, down: Option<u64>) -> f64 {
    let (first, second) = scene.pair().await;
    let limit = |up_rate, down_rate| Limits {
        up_rate,
        down_rate,
        ..Limits::default()
    };
    first.set_limits(limit(up, None)).await.unwrap();
    second.set_limits(limit(None, down)).await.unwrap();
    let content = content(bytes, 4);
    let share = first.share(&content).await;
    let file = second.file(&share).await;
    // The chunk that opened it came before; the sender's figure is the exact one.
    let (start, before) = (Instant::now(), CHUNK_SIZE);
    assert_eq!(read(&file).await, content);
    let rate = (bytes as u64 - before) as f64 / start.elapsed().as_secs_f64();
    second.complete(&share).await;
    let info = second.info(&share).unwrap();
    println!(
        "{bytes} bytes at {:.2} MB/s, {} wasted",
        rate / 1e6,
        info.wasted
    );
    assert!(
        info.wasted <= bytes as u64 / 20,
        "{} bytes came twice",
        info.wasted
    );
    rate
}

#[test]
fn sending_stays_under_its_cap() {
    run(async |scene| {
        // 20 chunks are what the burst and the one chunk in advance are 5 % of.
        let rate = rate_under(&scene, 16_000_000, Some(2_000_000), None).await;
        assert!(rate <= 2_100_000.0, "{rate}");
        // That it is not slower either is shown in virtual time, beside the schedule: a busy machine proves nothing.
    });
}

#[test]
fn receiving_stays_under_its_cap() {
    run(async |scene| {
        let rate = rate_under(&scene, 16_000_000, None, Some(2_000_000)).await;
        assert!(rate <= 2_100_000.0, "{rate}");
    });
}

/// What may be sent in a day, in bytes.
const CAP: u64 = 20_000_000;

/// A node that may send [`CAP`] a day, and shares so many bytes; and another.
async fn with_a_cap(scene: &Scene, store: &MemoryStore, bytes: usize) -> (Peer, Peer, Share) {
    let (first, second) = (scene.node().on(store).await, scene.node().await);
    let limits = Limits {
        up_per_day: Some(CAP),
        ..Limits::default()
    };
    first.set_limits(limits).await.unwrap();
    let share = first.share(&content(bytes, 5)).await;
    (first, second, share)
}

#[test]
fn a_day_has_its_amount_and_a_reload_does_not_begin_it_again() {
    run(async |scene| {
        let store = MemoryStore::new();
        let (first, second, share) = with_a_cap(&scene, &store, 30_000_000).await;
        second.file(&share).await;
        until("today's amount is used up", || {
            first.stats().upload_hold == Some(Hold::Day)
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent = first.stats().today.up;
        // What had begun to go when a stream ended counts against the day, and nowhere else.
        assert!(first.stats().up <= sent);
        assert!((CAP * 95 / 100..=CAP).contains(&sent), "{sent} of {CAP}");
        assert!(second.stats().down <= CAP, "{}", second.stats().down);

        first.stop().await;
        let again = scene.node().on(&store.reopen()).silent().await;
        assert_eq!(
            again.stats().limits.up_per_day,
            Some(CAP),
            "the limits are kept"
        );
        assert_eq!(again.stats().today.up, sent);
        assert_eq!(again.stats().upload_hold, Some(Hold::Day));
        tokio::time::sleep(WATCH).await;
        assert_eq!(again.stats().up, 0);

        again.set_limits(Limits::default()).await.unwrap();
        second.complete(&share).await;
        assert!(second.info(&share).unwrap().state == TransferState::Complete);
    });
}

#[test]
fn a_crash_gives_nothing_of_the_day_back() {
    run(async |scene| {
        let store = MemoryStore::new();
        let (first, second, share) = with_a_cap(&scene, &store, 9_000_000).await;
        second.fetch(&share).await;
        until("counted", || first.stats().up >= 9_000_000).await;
        let sent = first.stats().today.up;
        // Opened beside the node that still runs: this is what a killed tab leaves.
        let left = store.reopen();
        let again = scene.node().on(&left).silent().early().await;
        let charged = again.stats().today.up;
        assert!(charged >= sent, "{charged} after {sent}");
        assert!(charged <= sent + CAP / 20, "{charged} after {sent}");
    });
}
