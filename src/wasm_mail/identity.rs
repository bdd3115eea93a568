//! What the person does to their identity: with words in, so that no secret of a paper lies in JavaScript but as it is shown or typed.

use wasm_bindgen::prelude::*;

use super::objects::{Object, error};
use super::{BAD_INPUT, Post};
use crate::proto::identity::{IdentityError, Key};
use crate::proto::keys::RootSecret;
use crate::proto::keys::phrase::Words;
use crate::proto::mail::post::Change;
use crate::proto::name::Name;

#[wasm_bindgen]
extern "C" {
    /// `MailStep[]`
    #[wasm_bindgen(typescript_type = "MailStep[]")]
    pub type Steps;
}

/// 32 random bytes as 24 words of this list.
#[wasm_bindgen(js_name = wordsOf)]
pub fn words_of(list: &str, random: &[u8]) -> Result<String, JsValue> {
    let secret: [u8; 32] = random
        .try_into()
        .map_err(|_| error("32 random bytes", BAD_INPUT))?;
    let words = Words::new(list).map_err(|why| error(&why.to_string(), BAD_INPUT))?;
    Ok(words.of(&RootSecret::new(secret)).to_string())
}

#[wasm_bindgen]
impl Post {
    /// Begins a new epoch of the keys; `shown` are the words that count, if they are not those of this machine, `heir` those that count
    /// from then on, and `keep` says how many operations stay.
    pub fn renew(
        &mut self,
        list: &str,
        shown: Option<String>,
        heir: &str,
        keep: Option<u32>,
        now_ms: f64,
    ) -> Result<(), JsValue> {
        let change = Change::Renew {
            shown: shown.map(|shown| secret(list, &shown)).transpose()?,
            heir: secret(list, heir)?,
            keep: keep.map(|keep| keep as usize),
        };
        self.do_change(change, now_ms)
    }

    /// Brings this machine back, with the words that count.
    pub fn rejoin(&mut self, list: &str, words: &str, now_ms: f64) -> Result<(), JsValue> {
        let words = secret(list, words)?;
        self.do_change(Change::Rejoin(words), now_ms)
    }

    /// Gives the identity up.
    pub fn end(&mut self, list: &str, shown: Option<String>, now_ms: f64) -> Result<(), JsValue> {
        let shown = shown.map(|shown| secret(list, &shown)).transpose()?;
        self.do_change(Change::End { shown }, now_ms)
    }

    /// One of the person's sites is published under this name from now on, or under none.
    #[wasm_bindgen(js_name = setSite)]
    pub fn set_site(
        &mut self,
        site: u32,
        name: Option<String>,
        now_ms: f64,
    ) -> Result<(), JsValue> {
        let name = name.map(|name| Name::parse(&name)).transpose();
        let name = name.map_err(|why| error(&why.to_string(), "BAD_NAME"))?;
        let key = name.map(Key::from);
        self.do_change(Change::Site { site, key }, now_ms)
    }

    /// What was done to the identity, the first first.
    pub fn history(&self) -> Steps {
        let all = js_sys::Array::new();
        for step in self.0.history() {
            let step = Object::new()
                .with("act", step.act)
                .with("time", step.time as f64 * 1000.0);
            all.push(&step.value());
        }
        JsValue::from(all).unchecked_into()
    }

    fn do_change(&mut self, change: Change, now_ms: f64) -> Result<(), JsValue> {
        let done = self.0.change(change, now_ms as u64);
        done.map_err(|why: IdentityError| error(&why.to_string(), why.code()))
    }
}

fn secret(list: &str, words: &str) -> Result<RootSecret, JsValue> {
    let secret = Words::new(list).and_then(|list| list.read(words));
    secret.map_err(|why| error(&why.to_string(), "BAD_PHRASE"))
}
