//! The TypeScript of everything that crosses the border.

use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface WasmNodeOptions { relays: string[]; stun: string[]; databaseName?: string; quota?: number; relayOnly?: boolean; surroundings?: Surroundings; puzzleBits?: number }
export interface WasmImportOptions { name: string; type: string; size?: number; public: boolean; sources?: string[]; signal?: AbortSignal; onProgress?: (bytesDone: number) => void }
export interface WasmShare { cid: string; fragment: string; size: number }
export type WasmEvent = { type: 'state' } | { type: 'swarms' } | { type: 'peers' };
export interface SwarmInfo { cid: string; fragment: string | null; name: string | null; type: string | null; size: number | null; have: number;
  state: 'importing' | 'finding' | 'fetching' | 'paused' | 'complete' | 'failed'; error: { code: string; message: string } | null;
  pinned: boolean; public: boolean; up: number; down: number; upRate: number; downRate: number; wasted: number; peers: number; sources: number;
  servers: { host: string; down: number; state: 'ready' | 'busy' | 'waiting' | 'dropped'; detail: string }[];
  addedAt: number; chunks: number; chunksHave: number }
export interface PeerInfo { peerId: string; role: 'browser' | 'relay'; via: 'direct' | 'relayed' | 'websocket' | 'connecting' | 'failed'; agent: string;
  rtt: number | null; up: number; down: number; upRate: number; downRate: number; since: number; detail: string }
export interface SwarmChart { cid: string; chunks: number; chunksHave: number; unstored: number; asked: number; stored: Uint8Array; askedOf: Uint8Array;
  broughtBy: Uint8Array; copies: Uint8Array; bringers: { peerId: string | null; chunks: number }[]; peers: ChartPeer[]; peersTotal: number }
export interface ChartPeer { peerId: string; via: PeerInfo['via']; rtt: number | null; connected: number; chunks: number; hasAll: boolean; has: Uint8Array;
  up: number; down: number; upRate: number; downRate: number; servesUs: boolean; wanted: boolean; isServed: boolean; wants: boolean; asked: number;
  serving: number; stalled: boolean }
export interface Head { name: string; cid?: string; value: string; sequence: number; validUntil: number; fork?: string; holders: number; record: Uint8Array }
export type KeyLock = { kind: 'none' } | { kind: 'passphrase'; salt: Uint8Array; memory: number; passes: number; lanes: number } | { kind: 'external'; salt: Uint8Array };
export type KeyUnlock = { kind: 'none' } | (Exclude<KeyLock, { kind: 'none' }> & { key: Uint8Array });
export interface KeyState { state: 'missing' | 'locked' | 'unlocked'; locks: KeyLock[] }
export interface Work<P> { signal?: AbortSignal; onProgress?: (progress: P) => void }
export type SitePiece = { path: string; type: string | null; cache: string | null; csp: string | null; bytes: Uint8Array } | Uint8Array;
export interface KeepProgress { files: number; bytes: number; allFiles: number; allBytes: number }
export interface WasmPublishOptions { name?: string; previous?: string; index?: string; missing?: string; fallback?: string;
  signal?: AbortSignal; onProgress?: (progress: { files: number; bytes: number; newFiles: number; newBytes: number }) => void }
export interface SiteChange { cid: string; previous: string | null; added: string[]; changed: string[]; removed: string[]; addedCount: number; changedCount: number;
  removedCount: number; newBytes: number; files: number; bytes: number; sameButForCase: string[]; skippedRedirects: SkippedLine[]; skippedHeaders: SkippedLine[] }
export interface SkippedLine { line: number; reason: string }
export interface DenylistInfo { name: string; bytes: number; rules: number; skipped: SkippedLine[]; skippedCount: number }
export type KeeperWord = 'taken' | 'full' | 'refused' | 'unreached';
export interface SiteInfo { cid: string; title: string; files: number; bytes: number; previous: string | null; time: number | null; index: string; fallback: string | null; pinned: boolean;
  here: { files: number; bytes: number }; holders: number; keepers: number; seenHour: number; seenDay: number }
export interface SiteFileInfo { path: string; size: number; type: string; hash: string }
export interface SiteAnswer { kind: 'file' | 'redirect' | 'missing'; status: number; path: string | null; size: number; type: string; etag: string | null;
  location: string | null; cache: string | null; csp: string | null }
export interface HeldSite { cid: string; pinned: boolean; title: string; bytes: number; files: number }
export interface Limits { upRate: number | null; downRate: number | null; upPerDay: number | null; sendOnMetered: boolean; pauseOnBattery: boolean; hideAddress: boolean }
export interface Surroundings { metered: boolean; onBattery: boolean }
export interface Stats { peerId: string; state: 'connecting' | 'joined' | 'peers' | 'offline';
  relays: { address: string; state: 'connecting' | 'connected' | 'reserved' | 'failed'; detail: string }[];
  uploadAllowed: boolean | null; uploadHold: 'unasked' | 'refused' | 'metered' | 'battery' | 'day' | null; limits: Limits;
  today: { up: number; down: number }; up: number; down: number; upRate: number; downRate: number; storage: { used: number; quota: number } }
"#;

#[wasm_bindgen]
extern "C" {
    /// Options that a caller passes.
    #[wasm_bindgen(typescript_type = "WasmNodeOptions")]
    pub type JsNodeOptions;

    #[wasm_bindgen(typescript_type = "WasmImportOptions")]
    pub type JsImportOptions;
    #[wasm_bindgen(method, getter, structural)]
    pub fn name(this: &JsImportOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural, js_name = type)]
    pub fn media_type(this: &JsImportOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural, js_name = public)]
    pub fn is_public(this: &JsImportOptions) -> Option<bool>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn signal(this: &JsImportOptions) -> Option<AbortSignal>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn sources(this: &JsImportOptions) -> Option<Vec<String>>;
    #[wasm_bindgen(method, getter, structural, js_name = onProgress)]
    pub fn on_progress(this: &JsImportOptions) -> Option<js_sys::Function>;

    /// Options of a call that can be cancelled.
    #[wasm_bindgen(typescript_type = "{ signal?: AbortSignal }")]
    pub type JsCallOptions;
    #[wasm_bindgen(method, getter, structural, js_name = signal)]
    pub fn call_signal(this: &JsCallOptions) -> Option<AbortSignal>;

    /// What locks or unlocks keys.
    #[wasm_bindgen(typescript_type = "KeyUnlock")]
    pub type JsWith;
    #[wasm_bindgen(method, getter, structural)]
    pub fn kind(this: &JsWith) -> Option<String>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn salt(this: &JsWith) -> Option<js_sys::Uint8Array>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn key(this: &JsWith) -> Option<js_sys::Uint8Array>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn memory(this: &JsWith) -> Option<u32>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn passes(this: &JsWith) -> Option<u32>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn lanes(this: &JsWith) -> Option<u32>;

    /// What a long call takes beside its values.
    #[wasm_bindgen(typescript_type = "Work<never>")]
    pub type JsWork;
    #[wasm_bindgen(method, getter, structural, js_name = signal)]
    pub fn work_signal(this: &JsWork) -> Option<AbortSignal>;
    #[wasm_bindgen(method, getter, structural, js_name = onProgress)]
    pub fn on_work_progress(this: &JsWork) -> Option<js_sys::Function>;

    /// `JsWork` that hears of what is fetched.
    #[wasm_bindgen(typescript_type = "Work<KeepProgress>")]
    pub type JsKeepWork;

    /// Texts, and what `JsWork` has.
    #[wasm_bindgen(typescript_type = "WasmPublishOptions")]
    pub type JsPublishOptions;
    #[wasm_bindgen(method, getter, structural, js_name = signal)]
    pub fn publish_signal(this: &JsPublishOptions) -> Option<AbortSignal>;
    #[wasm_bindgen(method, getter, structural, js_name = name)]
    pub fn title(this: &JsPublishOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn previous(this: &JsPublishOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn index(this: &JsPublishOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn missing(this: &JsPublishOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural)]
    pub fn fallback(this: &JsPublishOptions) -> Option<String>;
    #[wasm_bindgen(method, getter, structural, js_name = onProgress)]
    pub fn on_publish_progress(this: &JsPublishOptions) -> Option<js_sys::Function>;

    #[wasm_bindgen(typescript_type = "Limits")]
    pub type JsLimits;
    #[wasm_bindgen(typescript_type = "Surroundings")]
    pub type JsSurroundings;

    #[wasm_bindgen(typescript_type = "SwarmInfo[]")]
    pub type JsSwarms;
    #[wasm_bindgen(typescript_type = "PeerInfo[]")]
    pub type JsPeers;
    #[wasm_bindgen(typescript_type = "Stats")]
    pub type JsStats;
    #[wasm_bindgen(typescript_type = "(event: WasmEvent) => void")]
    pub type JsListener;
}
