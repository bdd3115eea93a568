//! A person's keys on the JS surface. Wrapping keys come from the page: argon2id runs in a worker there, and passkeys are the page's.

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use super::error::to_js;
use super::node::WasmNode;
use super::types::{JsKeyState, JsWith};
use crate::node::keys::{State, With};
use crate::node::{Error, Result};
use crate::proto::keys::locked::{Lock, WrappingKey};
use crate::proto::keys::passphrase::Work;

#[wasm_bindgen]
impl WasmNode {
    /// Whether there are keys, and what unlocks them.
    #[wasm_bindgen(js_name = keyState)]
    pub async fn key_state(&self) -> Result<JsKeyState, JsValue> {
        let state = self.node().keys().state().await;
        state.map(state_to_js).map_err(|error| to_js(&error))
    }

    /// Makes keys, locked in no way yet.
    #[wasm_bindgen(js_name = createKeys)]
    pub async fn create_keys(&self) -> Result<(), JsValue> {
        js(self.node().keys().create().await)
    }

    /// The 24 words; `list` is the English list of BIP-39.
    #[wasm_bindgen(js_name = keyPhrase)]
    pub async fn key_phrase(&self, list: String) -> Result<String, JsValue> {
        let phrase = self.node().keys().phrase(&list).await;
        js(phrase.map(|phrase| phrase.as_str().to_owned()))
    }

    /// Takes the keys that 24 words say.
    #[wasm_bindgen(js_name = restoreKeys)]
    pub async fn restore_keys(&self, list: String, phrase: String) -> Result<(), JsValue> {
        let phrase = Zeroizing::new(phrase);
        js(self.node().keys().restore(&list, &phrase).await)
    }

    /// Unlocks the keys for as long as the node runs.
    #[wasm_bindgen(js_name = unlockKeys)]
    pub async fn unlock_keys(&self, with: JsWith) -> Result<(), JsValue> {
        let with = js(read(&with))?;
        js(self.node().keys().unlock(with).await)
    }

    /// Forgets the unlocked keys.
    #[wasm_bindgen(js_name = lockKeys)]
    pub fn lock_keys(&self) {
        self.node().keys().lock();
    }

    /// From now on this unlocks the keys: alone, or beside what unlocks them already.
    #[wasm_bindgen(js_name = setKeyLock)]
    pub async fn set_key_lock(&self, with: JsWith, beside: bool) -> Result<(), JsValue> {
        let with = js(read(&with))?;
        let node = self.node();
        let keys = node.keys();
        js(match beside {
            true => keys.add_lock(with).await,
            false => keys.set_lock(with).await,
        })
    }

    /// A key file that this unlocks.
    #[wasm_bindgen(js_name = exportKeys)]
    pub async fn export_keys(&self, with: JsWith) -> Result<Uint8Array, JsValue> {
        let with = js(read(&with))?;
        let file = self.node().keys().export(with).await;
        js(file.map(|file| Uint8Array::from(file.as_ref())))
    }

    /// Takes the keys of a key file.
    #[wasm_bindgen(js_name = importKeys)]
    pub async fn import_keys(&self, file: Uint8Array, with: JsWith) -> Result<(), JsValue> {
        let with = js(read(&with))?;
        js(self.node().keys().import(&file.to_vec(), with).await)
    }

    /// What unlocks a key file.
    #[wasm_bindgen(js_name = keyFileState)]
    pub fn key_file_state(&self, file: Uint8Array) -> Result<JsKeyState, JsValue> {
        let locked = crate::proto::keys::locked::Locked::decode(&file.to_vec());
        js(locked
            .map(|locked| state_to_js(State::Locked(vec![locked.lock()])))
            .map_err(Error::from))
    }

    /// The name of the person's site with this number.
    #[wasm_bindgen(js_name = siteName)]
    pub async fn site_name(&self, site: u32) -> Result<String, JsValue> {
        let key = self.node().keys().site_key(site).await;
        js(key.map(|key| key.name().to_string()))
    }

    /// Removes the keys from this machine.
    #[wasm_bindgen(js_name = forgetKeys)]
    pub async fn forget_keys(&self) -> Result<(), JsValue> {
        js(self.node().keys().forget().await)
    }
}

fn js<T>(result: Result<T>) -> Result<T, JsValue> {
    result.map_err(|error| to_js(&error))
}

fn state_to_js(state: State) -> JsKeyState {
    let (word, locks) = match state {
        State::Missing => ("missing", Vec::new()),
        State::Locked(locks) => ("locked", locks),
        State::Unlocked(locks) => ("unlocked", locks),
    };
    let list = Array::new();
    for lock in locks {
        list.push(&lock_to_js(lock));
    }
    let result = Object::new();
    set(&result, "state", word.into());
    set(&result, "locks", list.into());
    JsValue::from(result).unchecked_into()
}

fn lock_to_js(lock: Lock) -> JsValue {
    let result = Object::new();
    let salt = match lock {
        Lock::Open => {
            set(&result, "kind", "none".into());
            return result.into();
        }
        Lock::Passphrase { salt, work } => {
            set(&result, "kind", "passphrase".into());
            set(&result, "memory", work.memory.into());
            set(&result, "passes", work.passes.into());
            set(&result, "lanes", work.lanes.into());
            salt
        }
        Lock::External { salt } => {
            set(&result, "kind", "external".into());
            salt
        }
    };
    set(&result, "salt", Uint8Array::from(&salt[..]).into());
    result.into()
}

fn set(object: &Object, name: &str, value: JsValue) {
    // Setting a property of a fresh plain object cannot fail.
    let _ = Reflect::set(object, &name.into(), &value);
}

fn read(with: &JsWith) -> Result<With> {
    let bad = |what: &str| Error::BadOptions(format!("a lock without {what}"));
    let bytes = |bytes: Option<Uint8Array>| bytes.map(|bytes| Zeroizing::new(bytes.to_vec()));
    let kind = with.kind().unwrap_or_default();
    if kind == "none" {
        return Ok(With::Nothing);
    }
    let salt = bytes(with.salt())
        .and_then(|salt| salt.as_slice().try_into().ok())
        .ok_or_else(|| bad("a salt of 16 bytes"))?;
    let key = bytes(with.key())
        .and_then(|key| key.as_slice().try_into().ok())
        .map(WrappingKey::new)
        .ok_or_else(|| bad("a key of 32 bytes"))?;
    match kind.as_str() {
        "passphrase" => {
            let work = Work {
                memory: with.memory().unwrap_or_default(),
                passes: with.passes().unwrap_or_default(),
                lanes: with.lanes().unwrap_or_default(),
            };
            let lock = Lock::Passphrase { salt, work };
            Ok(With::Passphrase { lock, key })
        }
        "external" => Ok(With::External { salt, key }),
        _ => Err(bad("a kind")),
    }
}
