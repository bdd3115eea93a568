//! A person's keys on the JS surface. Wrapping keys come from the page: argon2id runs in a worker there, and passkeys are the page's.

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use super::error::to_js;
use super::node::WasmNode;
use super::promise::{nothing, promise};
use super::types::JsWith;
use crate::node::keys::{State, With};
use crate::node::{Error, Result};
use crate::proto::keys::locked::{Lock, WrappingKey};
use crate::proto::keys::passphrase::Work;

#[wasm_bindgen]
impl WasmNode {
    /// Whether there are keys, and what unlocks them.
    #[wasm_bindgen(js_name = keyState, unchecked_return_type = "Promise<KeyState>")]
    pub fn key_state(&self) -> Promise {
        let node = self.node();
        promise(async move { Ok(state_to_js(node.keys().state().await?)) })
    }

    /// Makes keys, locked in no way yet.
    #[wasm_bindgen(js_name = createKeys, unchecked_return_type = "Promise<void>")]
    pub fn create_keys(&self) -> Promise {
        let node = self.node();
        promise(async move {
            node.keys().create().await?;
            nothing()
        })
    }

    /// The 24 words; `list` is the English list of BIP-39.
    #[wasm_bindgen(js_name = keyPhrase, unchecked_return_type = "Promise<string>")]
    pub fn key_phrase(&self, list: String) -> Promise {
        let node = self.node();
        promise(async move { Ok(node.keys().phrase(&list).await?.as_str().into()) })
    }

    /// Takes the keys that 24 words say.
    #[wasm_bindgen(js_name = restoreKeys, unchecked_return_type = "Promise<void>")]
    pub fn restore_keys(&self, list: String, phrase: String) -> Promise {
        let node = self.node();
        promise(async move {
            let phrase = Zeroizing::new(phrase);
            node.keys().restore(&list, &phrase).await?;
            nothing()
        })
    }

    /// Unlocks the keys for as long as the node runs.
    #[wasm_bindgen(js_name = unlockKeys, unchecked_return_type = "Promise<void>")]
    pub fn unlock_keys(&self, with: JsWith) -> Promise {
        let node = self.node();
        promise(async move {
            node.keys().unlock(read(&with)?).await?;
            nothing()
        })
    }

    /// Forgets the unlocked keys.
    #[wasm_bindgen(js_name = lockKeys)]
    pub fn lock_keys(&self) {
        self.node().keys().lock();
    }

    /// From now on this unlocks the keys: alone, or beside what unlocks them already.
    #[wasm_bindgen(js_name = setKeyLock, unchecked_return_type = "Promise<void>")]
    pub fn set_key_lock(&self, with: JsWith, beside: bool) -> Promise {
        let node = self.node();
        promise(async move {
            let with = read(&with)?;
            match beside {
                true => node.keys().add_lock(with).await?,
                false => node.keys().set_lock(with).await?,
            }
            nothing()
        })
    }

    /// A key file that this unlocks.
    #[wasm_bindgen(js_name = exportKeys, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn export_keys(&self, with: JsWith) -> Promise {
        let node = self.node();
        promise(async move {
            let file = node.keys().export(read(&with)?).await?;
            Ok(Uint8Array::from(file.as_ref()).into())
        })
    }

    /// Takes the keys of a key file.
    #[wasm_bindgen(js_name = importKeys, unchecked_return_type = "Promise<void>")]
    pub fn import_keys(&self, file: Uint8Array, with: JsWith) -> Promise {
        let node = self.node();
        promise(async move {
            node.keys().import(&file.to_vec(), read(&with)?).await?;
            nothing()
        })
    }

    /// What unlocks a key file.
    #[wasm_bindgen(js_name = keyFileState, unchecked_return_type = "KeyState")]
    pub fn key_file_state(&self, file: Uint8Array) -> Result<JsValue, JsValue> {
        let locked = crate::proto::keys::locked::Locked::decode(&file.to_vec());
        locked
            .map(|locked| state_to_js(State::Locked(vec![locked.lock()])))
            .map_err(|error| to_js(&error.into()))
    }

    /// The name of the person's site with this number.
    #[wasm_bindgen(js_name = siteName, unchecked_return_type = "Promise<string>")]
    pub fn site_name(&self, site: u32) -> Promise {
        let node = self.node();
        promise(async move {
            let key = node.keys().site_key(site).await?;
            Ok(key.name().to_string().into())
        })
    }

    /// Removes the keys from this machine.
    #[wasm_bindgen(js_name = forgetKeys, unchecked_return_type = "Promise<void>")]
    pub fn forget_keys(&self) -> Promise {
        let node = self.node();
        promise(async move {
            node.keys().forget().await?;
            nothing()
        })
    }
}

fn state_to_js(state: State) -> JsValue {
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
    result.into()
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
