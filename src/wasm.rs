//! The JS surface: converts, decides nothing.
//!
//! One file a noun; the TypeScript facade in `www/sdk` is the only caller and the published API.

mod custody;
mod denylists;
mod error;
mod file;
#[cfg(feature = "interop")]
mod interop;
mod keys;
mod names;
mod node;
mod options;
mod promise;
mod sites;
mod source;
mod types;

pub use file::WasmFile;
pub use node::WasmNode;
