//! `WasmInterop`: the bare peer of `tests/interop`.

use js_sys::{Object, Reflect};
use libp2p::Multiaddr;
use wasm_bindgen::prelude::*;

use crate::node::address_text;
use crate::node::interop::Interop;

/// A bare peer that answers the protocols of the interoperability tests.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WasmInterop(Interop);

#[wasm_bindgen]
impl WasmInterop {
    /// Joins through one relay.
    pub async fn start(relay: String) -> Result<WasmInterop, JsError> {
        let relay: Multiaddr = parse(&relay)?;
        Ok(Self(Interop::start(relay).await.map_err(error)?))
    }

    /// Our identity.
    #[wasm_bindgen(getter, js_name = peerId)]
    pub fn peer_id(&self) -> String {
        self.0.peer_id().to_string()
    }

    /// The address that others dial.
    #[wasm_bindgen(js_name = listenAddress)]
    pub async fn listen_address(&self) -> Result<String, JsError> {
        let interop = self.0.clone();
        let address = interop.listen_address().await.map_err(error)?;
        Ok(address_text(&address))
    }

    /// Dials; ends when the direct connection is up.
    pub async fn dial(&self, address: String) -> Result<String, JsError> {
        let interop = self.0.clone();
        Ok(interop
            .dial(parse(&address)?)
            .await
            .map_err(error)?
            .to_string())
    }

    /// `{direct, relayed}`.
    pub fn connections(&self, peer: &str) -> Result<Object, JsError> {
        let (direct, relayed) = self.0.connections(parse(peer)?);
        let result = Object::new();
        let _ = Reflect::set(&result, &"direct".into(), &JsValue::from_f64(direct as f64));
        let _ = Reflect::set(
            &result,
            &"relayed".into(),
            &JsValue::from_f64(relayed as f64),
        );
        Ok(result)
    }

    /// Milliseconds of one round trip.
    pub async fn ping(&self, peer: String) -> Result<f64, JsError> {
        let interop = self.0.clone();
        interop.ping(parse(&peer)?).await.map_err(error)
    }

    /// Whether the same bytes came back.
    pub async fn echo(&self, peer: String, size: usize) -> Result<bool, JsError> {
        let interop = self.0.clone();
        interop.echo(parse(&peer)?, size).await.map_err(error)
    }

    /// Whether a sink that is read after our half is closed answers rightly.
    #[wasm_bindgen(js_name = halfCloseThenRead)]
    pub async fn half_close_then_read(&self, peer: String, size: usize) -> Result<bool, JsError> {
        let interop = self.0.clone();
        interop
            .into_sink(parse(&peer)?, size, false)
            .await
            .map_err(error)
    }

    /// Whether a slow sink takes a burst whole.
    pub async fn burst(&self, peer: String, size: usize) -> Result<bool, JsError> {
        let interop = self.0.clone();
        interop
            .into_sink(parse(&peer)?, size, true)
            .await
            .map_err(error)
    }

    /// Data channels open now.
    pub fn streams(&self, _peer: &str) -> usize {
        self.0.streams()
    }

    /// Ends.
    pub async fn stop(&self) {
        self.0.stop();
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, JsError> {
    text.parse()
        .map_err(|cause: T::Err| JsError::new(&format!("{text}: {cause}")))
}

fn error(text: String) -> JsError {
    JsError::new(&text)
}
