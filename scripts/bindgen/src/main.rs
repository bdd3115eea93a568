//! Writes the JavaScript and TypeScript glue for one wasm file: `gyre-bindgen INPUT.wasm OUT_DIR NAME [--tests]`.
//!
//! With `--tests` the glue does not start the program: it leaves that to whoever runs the tests in it.
//!
//! A short front to the library behind the wasm-bindgen command line, because the library alone builds much faster.

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: gyre-bindgen INPUT.wasm OUT_DIR NAME [--tests]");
    let (input, out, name) = (next()?, next()?, next()?);
    let tests = args.next().is_some_and(|arg| arg == "--tests");
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(input)
        .out_name(&name)
        .web(true)?
        .typescript(!tests)
        .emit_start(!tests)
        .remove_producers_section(true)
        .generate(out)
}
