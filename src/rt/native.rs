//! Tokio.

use std::future::Future;

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(future);
}

pub(super) async fn yield_now() {
    tokio::task::yield_now().await;
}

pub(super) fn lower_case(text: &str) -> String {
    text.to_lowercase()
}

pub(super) fn normalise(text: &str) -> String {
    let form_c = icu_normalizer::ComposingNormalizerBorrowed::new_nfc();
    form_c.normalize(text).into_owned()
}

macro_rules! warning {
    ($($name:ident = $value:expr,)* $text:literal $(,)?) => {
        tracing::warn!($($name = %$value,)* $text)
    };
}

pub(crate) use warning;
