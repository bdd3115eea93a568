//! The only clock, timer, spawn, source of randomness, Unicode table and warning; one file per platform behind the same names.

#[cfg(target_arch = "wasm32")]
pub(crate) mod web;
#[cfg(target_arch = "wasm32")]
use web as imp;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
use native as imp;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use web_time::{Instant, SystemTime, UNIX_EPOCH};

/// Says what whoever looks after this machine may want to know: natively to `tracing`, in a page as a line in its console.
///
/// `warning!(error = error, "the size could not be stored")`: values that can be shown, then what happened.
pub(crate) use imp::warning;

/// Runs a future on this thread until it ends. Natively the caller must stand in a `LocalSet`.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    imp::spawn(future);
}

/// The text in Unicode normalisation form C, by the tables of the platform.
pub fn normalise(text: &str) -> String {
    imp::normalise(text)
}

/// The text in small letters, by the tables of the platform.
pub fn lower_case(text: &str) -> String {
    imp::lower_case(text)
}

/// Ends after `duration`. Timers of a hidden tab may be late by a second or, after five minutes, by a minute.
pub async fn sleep(duration: Duration) {
    futures_timer::Delay::new(duration).await;
}

/// Lets the page's event loop (rendering, input, network callbacks) run before going on.
pub async fn yield_now() {
    imp::yield_now().await;
}

/// Time since an arbitrary origin of this process; never goes back.
pub fn now() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

/// Milliseconds since 1970 by the machine's clock; may jump, so it is for display and expiry stamps only.
pub fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|passed| passed.as_millis() as u64)
        .unwrap_or_default()
}

/// Fresh bytes from the platform's cryptographic generator.
///
/// # Panics
/// If the platform has no such generator: nothing that needs a key could be safe there.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("every supported platform has a secure generator");
    bytes
}
