//! The JS surface: converts, decides nothing.
//!
//! One file a noun; the TypeScript facade in `www/sdk` is the only caller and the published API.

mod error;
mod file;
#[cfg(feature = "interop")]
mod interop;
#[cfg(feature = "names")]
mod keys;
mod log;
#[cfg(feature = "names")]
mod names;
mod node;
mod source;
mod types;

pub use file::WasmFile;
pub use node::WasmNode;
