//! Tokio.

use std::future::Future;

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(future);
}

pub(super) async fn yield_now() {
    tokio::task::yield_now().await;
}
