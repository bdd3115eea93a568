//! Mailboxes and records on the JS surface: what the mail module of the page, which has no network, asks of the node.
//!
//! Keys of peers stand one behind the other, 32 bytes each. Messages are those of `proto::custody::message`, without the two bytes of
//! their length.

use js_sys::{Array, Function, Promise, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::error::to_js;
use super::node::{WasmNode, snapshot};
use super::promise::promise;
use crate::node::{Error, Result};
use crate::proto::custody::PeerId;
use crate::proto::custody::message::Message;
use crate::proto::custody::tag::Tag;
use crate::rt;

/// Bytes of the length before a message.
const LENGTH: usize = 2;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    envelopes: usize,
    bytes: u64,
    blobs: usize,
    blob_bytes: u64,
}

#[wasm_bindgen]
impl WasmNode {
    /// Reachable peers nearest to a tag, nearest first.
    #[wasm_bindgen(js_name = custodyNearest, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn custody_nearest(&self, tag: Uint8Array) -> Promise {
        let node = self.node();
        promise(async move {
            let tag = Tag(key(&tag)?);
            Ok(all(&node.custody().nearest(tag).await?))
        })
    }

    /// Opens a stream to a peer if there is none; the listener hears its challenge.
    #[wasm_bindgen(js_name = custodyOpen)]
    pub fn custody_open(&self, peer: Uint8Array) -> Result<(), JsValue> {
        let (node, peer) = (self.node(), self.peer(&peer)?);
        rt::spawn(async move {
            // Fails only when the node has stopped, which is told elsewhere.
            let _ = node.custody().open(peer).await;
        });
        Ok(())
    }

    /// Sends a request to a peer, on a stream that is opened if there is none.
    #[wasm_bindgen(js_name = custodySend)]
    pub fn custody_send(&self, peer: Uint8Array, message: Uint8Array) -> Result<(), JsValue> {
        let (node, peer) = (self.node(), self.peer(&peer)?);
        let message = Message::decode(&message.to_vec().into()).ok();
        let request = message.filter(Message::is_request);
        let bad = || Error::BadOptions("this is no request".into());
        let request = request.ok_or_else(|| to_js(&bad()))?;
        rt::spawn(async move {
            let _ = node.custody().send(peer, request).await;
        });
        Ok(())
    }

    /// Hears every answer, and `undefined` when a stream has ended or never came about.
    #[wasm_bindgen(js_name = setCustodyListener)]
    pub fn set_custody_listener(
        &self,
        #[wasm_bindgen(
            unchecked_param_type = "(peer: Uint8Array, message: Uint8Array | undefined) => void"
        )]
        listener: Function,
    ) {
        let node = self.node();
        rt::spawn(async move {
            let hear = move |peer: PeerId, message: Option<&Message>| {
                let bytes = message.map(|message| Uint8Array::from(&message.encode()[LENGTH..]));
                let message = bytes.map_or(JsValue::UNDEFINED, JsValue::from);
                // A listener that throws is the page's own affair.
                let peer = Uint8Array::from(&peer.0[..]);
                let _ = listener.call2(&JsValue::NULL, &peer, &message);
            };
            let _ = node.custody().listen(hear).await;
        });
    }

    /// Connected relays that offer mailboxes.
    #[wasm_bindgen(js_name = custodyRelays, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn custody_relays(&self) -> Promise {
        let node = self.node();
        promise(async move { Ok(all(&node.custody().relays().await?)) })
    }

    /// Work that the ids of custodians must show in this network, in bits.
    #[wasm_bindgen(js_name = puzzleBits)]
    pub fn puzzle_bits(&self) -> u8 {
        self.node().custody().puzzle_bits()
    }

    /// What is kept here for others.
    #[wasm_bindgen(
        js_name = custodyStats,
        unchecked_return_type = "{ envelopes: number; bytes: number; blobs: number; blobBytes: number }"
    )]
    pub fn custody_stats(&self) -> JsValue {
        let kept = self.node().custody().kept();
        snapshot(&Stats {
            envelopes: kept.envelopes,
            bytes: kept.bytes,
            blobs: kept.blobs,
            blob_bytes: kept.blob_bytes,
        })
    }

    /// Every different valid value that stands under a routing key.
    #[wasm_bindgen(js_name = recordGet, unchecked_return_type = "Promise<Uint8Array[]>")]
    pub fn record_get(&self, key: Uint8Array) -> Promise {
        let node = self.node();
        promise(async move {
            let values = node.custody().record(&key.to_vec()).await?;
            let list = Array::new();
            for value in values {
                list.push(&Uint8Array::from(&value[..]));
            }
            Ok(list.into())
        })
    }

    /// Brings a record into the indexes; how many hold it now.
    #[wasm_bindgen(js_name = recordPut, unchecked_return_type = "Promise<number>")]
    pub fn record_put(&self, key: Uint8Array, value: Uint8Array) -> Promise {
        let node = self.node();
        promise(async move {
            let value = value.to_vec().into();
            let holders = node.custody().put_record(&key.to_vec(), value).await?;
            Ok(holders.into())
        })
    }

    /// The secret that the person's mail follows from.
    #[wasm_bindgen(js_name = mailSecret, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn mail_secret(&self) -> Promise {
        let node = self.node();
        promise(async move {
            let secret = node.keys().mail_secret().await?;
            Ok(Uint8Array::from(&secret[..]).into())
        })
    }

    fn peer(&self, bytes: &Uint8Array) -> Result<PeerId, JsValue> {
        key(bytes).map(PeerId).map_err(|error| to_js(&error))
    }
}

fn key(bytes: &Uint8Array) -> Result<[u8; 32]> {
    let bad = |_| Error::BadOptions("this is no key of 32 bytes".into());
    bytes.to_vec().try_into().map_err(bad)
}

fn all(peers: &[PeerId]) -> JsValue {
    let bytes: Vec<u8> = peers.iter().flat_map(|peer| peer.0).collect();
    Uint8Array::from(&bytes[..]).into()
}
