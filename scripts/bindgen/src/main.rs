//! Writes the JavaScript and TypeScript glue for one wasm file: `gyre-bindgen INPUT.wasm OUT_DIR NAME`.
//!
//! A short front to the library behind the wasm-bindgen command line, because the library alone builds much faster.

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: gyre-bindgen INPUT.wasm OUT_DIR NAME");
    let (input, out, name) = (next()?, next()?, next()?);
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(input)
        .out_name(&name)
        .web(true)?
        .typescript(true)
        .remove_producers_section(true)
        .generate(out)
}
