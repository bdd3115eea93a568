//! The mail module: [`Post`](crate::proto::mail::post::Post) and what belongs to it, for JavaScript.
//!
//! A WebAssembly of its own, which pages load when somebody uses mail. It has no network and no store: the SDK carries between it and the
//! node. Plain objects go in and come out; nothing here decides anything. `TYPES` is the contract, in TypeScript.

mod enclosures;
mod identity;
mod inputs;
mod mime;
mod objects;
mod outputs;

use wasm_bindgen::prelude::*;

use crate::proto::custody::region::PUZZLE_BITS;
use crate::proto::custody::stamp;
use crate::proto::identity::Id;
use crate::proto::identity::card::Card;
use crate::proto::mail::MailError;
use crate::proto::mail::post::{self, Input};

use self::objects::{Object, error, mail_error};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("wasm_mail/types.ts");

#[wasm_bindgen]
extern "C" {
    /// `[key, value][]`
    #[wasm_bindgen(typescript_type = "[key: string, value: Uint8Array][]")]
    pub type Entries;
    /// `MailInput`
    #[wasm_bindgen(typescript_type = "MailInput")]
    pub type MailInput;
    /// `MailOutput | undefined`
    #[wasm_bindgen(typescript_type = "MailOutput | undefined")]
    pub type MailOutput;
    /// `{ to: string[]; enclosures: MailEnclosure[] }`
    #[wasm_bindgen(typescript_type = "{ to: string[]; enclosures: MailEnclosure[] }")]
    pub type Sizes;
    /// `MailContact[]`
    #[wasm_bindgen(typescript_type = "MailContact[]")]
    pub type Contacts;
    /// `MailOutgoing[]`
    #[wasm_bindgen(typescript_type = "MailOutgoing[]")]
    pub type Outgoing;
    /// `MailCard`
    #[wasm_bindgen(typescript_type = "MailCard")]
    pub type MailCard;
}

/// The mail of one person on one device.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Post(post::Post);

#[wasm_bindgen]
impl Post {
    /// Takes back everything that was ever saved.
    #[wasm_bindgen(constructor)]
    pub fn new(
        mail_secret: &[u8],
        entries: Entries,
        seed: &[u8],
        puzzle_bits: Option<u8>,
        now_ms: f64,
    ) -> Result<Post, JsValue> {
        let secret = mail_secret
            .try_into()
            .map_err(|_| error("32 bytes of secret", BAD_INPUT))?;
        let seed = seed
            .try_into()
            .map_err(|_| error("32 bytes of seed", BAD_INPUT))?;
        let entries = inputs::entries(&entries)?;
        let bits = puzzle_bits.unwrap_or(PUZZLE_BITS);
        let post = post::Post::new(secret, entries, seed, bits, now_ms as u64);
        post.map(Self).map_err(|why| mail_error(&why))
    }

    /// Begins a new identity on this machine; does nothing if there is one.
    pub fn begin(&mut self, name: String, now_ms: f64) {
        self.0.handle(Input::Begin(name), now_ms as u64);
    }

    /// Looks for the identity of these words, and adds this device.
    pub fn recover(&mut self, name: String, now_ms: f64) {
        self.0.handle(Input::Recover(name), now_ms as u64);
    }

    /// Who it is.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// Whether mail is sent and read.
    #[wasm_bindgen(getter)]
    pub fn ready(&self) -> bool {
        self.0.is_ready()
    }

    /// Saved values that did not open, and were left out.
    #[wasm_bindgen(getter)]
    pub fn damaged(&self) -> usize {
        self.0.damaged()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: MailInput, now_ms: f64) -> Result<(), JsValue> {
        let input = inputs::read(&input)?;
        self.0.handle(input, now_ms as u64);
        Ok(())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> MailOutput {
        match self.0.poll_output() {
            Some(output) => outputs::write(output).unchecked_into(),
            None => JsValue::UNDEFINED.unchecked_into(),
        }
    }

    /// Longest text in bytes that goes into an envelope with these recipients and enclosures.
    pub fn room(&self, draft: Sizes) -> Result<usize, JsValue> {
        let draft = objects::Reader::new(&draft);
        let recipients = draft.list("to")?.len();
        let enclosures = inputs::enclosures(&draft)?;
        Ok(self.0.room(recipients, &enclosures))
    }

    /// One's own card, as a link.
    pub fn card(&self) -> String {
        self.0.card()
    }

    /// Everybody who is something to the person.
    pub fn contacts(&self) -> Contacts {
        let all = js_sys::Array::new();
        for contact in self.0.contacts() {
            all.push(&outputs::write(contact));
        }
        JsValue::from(all).unchecked_into()
    }

    /// All messages of the person's that are remembered, and how far they have come.
    pub fn outbox(&self) -> Outgoing {
        outputs::outbox(self.0.outbox()).unchecked_into()
    }
}

/// The search for a stamp, for a worker.
#[wasm_bindgen]
#[derive(Debug)]
pub struct StampSearch(stamp::Search);

#[wasm_bindgen]
impl StampSearch {
    /// Nothing tried yet.
    #[wasm_bindgen(constructor)]
    pub fn new(prefix: &[u8], bits: u8) -> Result<StampSearch, JsValue> {
        let prefix = prefix
            .try_into()
            .map_err(|_| error("32 bytes of prefix", BAD_INPUT))?;
        Ok(Self(stamp::Search::of_prefix(prefix, bits)))
    }

    /// Tries so many more numbers; the first that is strong enough.
    pub fn step(&mut self, tries: u32) -> Option<u64> {
        self.0.step(tries)
    }

    /// Numbers that were tried.
    #[wasm_bindgen(getter)]
    pub fn tried(&self) -> u64 {
        self.0.tried()
    }
}

/// Writes a card as a link.
#[wasm_bindgen(js_name = makeCard)]
pub fn make_card(card: MailCard) -> Result<String, JsValue> {
    let card = objects::Reader::new(&card);
    let id = inputs::id(&card.text("id")?)?;
    let hints: Result<_, _> = card.list("hints")?.iter().map(objects::text).collect();
    let card = Card {
        id,
        name: card.text("name")?,
        hints: hints?,
        admission: None,
    };
    card.to_link()
        .map_err(|why| error(&why.to_string(), why.code()))
}

/// Reads a card: as a link, an id, or an address of the app that shows it.
#[wasm_bindgen(js_name = readCard)]
pub fn read_card(text: &str) -> Result<MailCard, JsValue> {
    let text = text.trim();
    let text = text.split_once("#/m/").map_or(text, |(_, card)| card);
    let card = Card::parse(text).map_err(|why| error(&why.to_string(), why.code()))?;
    let hints: js_sys::Array = card
        .hints
        .iter()
        .map(|hint| JsValue::from(hint.as_str()))
        .collect();
    let out = Object::new()
        .with("id", card.id.to_string())
        .with("name", card.name)
        .with("hints", hints);
    Ok(out.value().unchecked_into())
}

/// Digits of an identity, to compare.
#[wasm_bindgen]
pub fn safety(id: &str) -> Result<String, JsValue> {
    let id = Id::parse(id).map_err(|why| error(&why.to_string(), BAD_INPUT))?;
    Ok(post::safety(id))
}

/// Says why the module stopped, should it ever.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// The code of an input of a wrong shape.
const BAD_INPUT: &str = "MAIL_BAD_INPUT";

/// The code of an attachment that is not there.
const NO_SUCH_PART: &str = "MAIL_NO_SUCH_PART";

fn thrown(why: MailError) -> JsValue {
    mail_error(&why)
}
