//! A peer that shows no address.

use std::time::Duration;

use gyre::proto::limits::Limits;

use super::kit::*;

#[test]
fn a_hidden_peer_has_no_direct_link_from_that_moment_on() {
    run(async |scene| {
        let (first, second) = scene.pair().await;
        let content = content(30_000_000, 1);
        let share = first.share(&content).await;
        let slow = Limits {
            up_rate: Some(4_000_000),
            ..Limits::default()
        };
        first.set_limits(slow).await.unwrap();
        second.file(&share).await;
        until("linked", || second.links() == 1).await;

        let hidden = Limits {
            hide_address: true,
            ..Limits::default()
        };
        second.set_limits(hidden).await.unwrap();
        let closed = || second.links() == 0 && first.links() == 0;
        until("the link that showed it is closed", closed).await;
        let down = second.stats().down;
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!((second.links(), first.links()), (0, 0));
        }
        assert!(second.info(&share).unwrap().have < content.len() as u64);
        assert!(second.stats().down - down < 1_000_000);

        second.set_limits(Limits::default()).await.unwrap();
        second.set_paused(share.blob, false).await.unwrap();
        first.set_limits(Limits::default()).await.unwrap();
        second.complete(&share).await;
    });
}
