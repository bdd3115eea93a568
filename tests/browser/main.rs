//! What only a browser can show: run in a headless one by `runner.mjs`.
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_browser);

mod indexed_db;
mod webrtc;
mod websocket;
