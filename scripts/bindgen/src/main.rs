//! Writes the JavaScript and TypeScript glue for one wasm file: `gyre-bindgen INPUT.wasm OUT_DIR`.
//!
//! A short front to the library behind the wasm-bindgen command line, because the library alone builds much faster.

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let input = args.next().context("usage: gyre-bindgen INPUT.wasm OUT_DIR")?;
    let out = args.next().context("usage: gyre-bindgen INPUT.wasm OUT_DIR")?;
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(input)
        .out_name("gyre")
        .web(true)?
        .typescript(true)
        .remove_producers_section(true)
        .generate(out)
}
