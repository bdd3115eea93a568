//! Small values under names that begin alike: read all at once, changed together. A mailer's sealed state rests here.

use bytes::Bytes;

use super::{Result, Store};

/// A store that holds such values, beside those of [`Store::value`]; pages have a database of their own for them.
#[allow(async_fn_in_trait)]
pub trait Shelf: Store {
    /// All values whose names begin with `prefix`, in the order of their names.
    async fn values(&self, prefix: &str) -> Result<Vec<(String, Bytes)>>;

    /// Writes values in one transaction; `None` removes one.
    async fn set_values(&self, values: Vec<(String, Option<Bytes>)>) -> Result<()>;
}
