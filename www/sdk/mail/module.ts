/**
 * The mail module: everything of mail that is protocol, compiled from Rust, without a network.
 *
 * Its declarations stand here, so that the SDK can be checked before the module is built. It is loaded
 * when a person uses mail.
 */

import { loaded } from '../lazy.js';
import type { IdentityStep, NamedSite } from './types.js';

/** An attachment in the swarm. */
export interface Enclosure {
  /** Of the sealed blob, 64 hex digits. */
  readonly hash: string;
  readonly key: Uint8Array;
  /** Of the content. */
  readonly size: number;
  readonly name: string;
  readonly type: string;
}

/** What a letter is made of; exactly one of `mime` and `body`. */
export interface PostDraft {
  readonly to: string[];
  readonly thread?: string;
  readonly inReplyTo?: string;
  readonly mime?: Uint8Array;
  readonly body?: Enclosure;
  readonly enclosures: Enclosure[];
}

/** How far a letter has come; the mailbox adds what happens before and after. */
export type PostState = 'waiting' | 'looking' | 'uploading' | 'stamping' | 'stored' | 'delivered' | 'read' | 'expired' | 'refused';

/** What the module is told. */
export type Input =
  | { readonly kind: 'tick' | 'online' }
  | { readonly kind: 'nearest'; readonly tag: Uint8Array; readonly peers: Uint8Array }
  | { readonly kind: 'answer'; readonly peer: Uint8Array; readonly message?: Uint8Array }
  | { readonly kind: 'records'; readonly key: Uint8Array; readonly values: Uint8Array[] }
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly holders: number }
  | { readonly kind: 'relays'; readonly peers: Uint8Array }
  | { readonly kind: 'stamped'; readonly job: string; readonly nonce: bigint }
  | { readonly kind: 'send'; readonly draft: PostDraft; readonly token: string }
  | { readonly kind: 'cancel' | 'retry' | 'stored' | 'read' | 'remove'; readonly message: string }
  | {
      readonly kind: 'contact';
      readonly id: string;
      readonly petname?: string;
      readonly state: 'accepted' | 'blocked' | 'muted' | 'forgotten';
      readonly card?: string;
    }
  | {
      readonly kind: 'policy';
      readonly stampBits: number;
      readonly readReceipts: boolean;
      readonly open: boolean;
      readonly mailboxRelays: Uint8Array;
    }
  | { readonly kind: 'removeDevice'; readonly key: string }
  | { readonly kind: 'sync'; readonly data: Uint8Array };

/** A letter that came. */
export interface Letter {
  readonly do: 'letter';
  readonly message: string;
  readonly thread: string;
  readonly from: string;
  readonly to: string[];
  readonly timeMs: number;
  readonly mime?: Uint8Array;
  readonly body?: Enclosure;
  readonly enclosures: Enclosure[];
  /** From a stranger. */
  readonly request: boolean;
  /** Another device of one's own sent it. */
  readonly own: boolean;
  readonly muted: boolean;
  /** The domain at which a bridge took it in, by the bridge's word; then `from` is the bridge. */
  readonly origin?: string;
}

/** Who this machine is. */
export interface IdentitySaid {
  readonly do: 'identity';
  readonly state: 'none' | 'looking' | 'ready' | 'forked' | 'lost' | 'removed' | 'ended';
  /** The next key and the recovery key are on paper alone. */
  readonly onPaper: boolean;
  readonly devices: readonly { readonly key: string; readonly me: boolean; readonly since: number; readonly seen: number }[];
  /** The sites that the identity names, and the names that they have now. */
  readonly sites: readonly NamedSite[];
  /** Contradictions; forks of one's own machines of which one side waits to be signed again; those of which nothing is lost. */
  readonly forks: number;
  readonly open: number;
  readonly settled: number;
  readonly name: string;
}

/** How far a letter has come to one recipient. */
export interface StatusSaid {
  readonly do: 'status';
  readonly message: string;
  readonly to: string;
  readonly state: PostState;
  readonly peers: number;
  readonly relays: number;
  /** Of `uploading`, 0 to 1: machines that hold all that is attached, of those that are to. */
  readonly progress?: number;
  readonly why?: string;
}

/** Work that a recipient asks of strangers. */
export interface StampAsked {
  readonly do: 'stamp';
  readonly job: string;
  readonly message: string;
  readonly to: string;
  /** Stamps that were found for them before, and in all. */
  readonly paid: number;
  readonly of: number;
  readonly prefix: Uint8Array;
  readonly bits: number;
}

/** What the module asks for or tells, in this order. */
export type Output =
  | { readonly do: 'nearest'; readonly tag: Uint8Array }
  | { readonly do: 'open'; readonly peer: Uint8Array }
  | { readonly do: 'ask'; readonly peer: Uint8Array; readonly message: Uint8Array }
  | { readonly do: 'get'; readonly key: Uint8Array }
  | { readonly do: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly do: 'save'; readonly key: string; readonly value?: Uint8Array }
  | { readonly do: 'wake'; readonly atMs: number }
  | StampAsked
  | { readonly do: 'unstamp'; readonly job: string }
  | { readonly do: 'keep'; readonly blob: string; readonly size: number }
  | Letter
  | StatusSaid
  | { readonly do: 'sent'; readonly token: string; readonly message: string; readonly thread: string }
  | { readonly do: 'failed'; readonly token: string; readonly code: string }
  | { readonly do: 'contact'; readonly id: string; readonly state: 'accepted' | 'request' | 'blocked' | 'muted' | 'forgotten' }
  | IdentitySaid
  | { readonly do: 'sync'; readonly data: Uint8Array; readonly device: string }
  | { readonly do: 'gone'; readonly message: string }
  | { readonly do: 'refused'; readonly why: string };

/** Somebody the module knows. */
export interface PostContact {
  readonly id: string;
  readonly state: 'accepted' | 'request' | 'blocked' | 'muted' | 'forgotten';
  readonly name?: string;
  readonly petname?: string;
  readonly since: number;
  readonly forked: boolean;
  readonly ended: boolean;
  readonly safety: string;
}

/** The mailer of one person on one device. */
export interface Post {
  begin(name: string, nowMs: number): void;
  recover(name: string, nowMs: number): void;
  readonly id: string;
  readonly ready: boolean;
  /** @throws only for an input of a wrong shape. */
  handle(input: Input, nowMs: number): void;
  poll(): Output | undefined;
  /** The longest MIME entity in bytes that goes into an envelope with these. */
  room(draft: { to: string[]; enclosures: Enclosure[] }): number;
  card(): string;
  contacts(): PostContact[];
  /** @throws with a code `IDENTITY_…` or `BAD_PHRASE`; nothing is changed then. */
  renew(list: string, shown: string | undefined, heir: string, keep: number | undefined, nowMs: number): void;
  rejoin(list: string, words: string, nowMs: number): void;
  end(list: string, shown: string | undefined, nowMs: number): void;
  setSite(site: number, name: string | undefined, nowMs: number): void;
  history(): IdentityStep[];
  free(): void;
}

export interface MimePerson {
  name: string;
  address: string;
}

export interface MimeDraft {
  from: MimePerson;
  to: MimePerson[];
  subject: string;
  text: string;
  html?: string;
  messageId: string;
  inReplyTo?: string;
  references?: string[];
  dateMs: number;
  parts: { name: string; type: string; content: Uint8Array }[];
}

export interface MimeMail {
  readonly subject: string;
  readonly from: readonly MimePerson[];
  readonly to: readonly MimePerson[];
  readonly cc: readonly MimePerson[];
  readonly dateMs: number | null;
  readonly messageId: string | null;
  readonly inReplyTo: readonly string[];
  readonly references: readonly string[];
  readonly text: string;
  readonly html: string | null;
  readonly attachments: readonly { name: string; type: string; size: number; contentId: string | null; index: number }[];
}

/** What `./wasm/gyre_mail.js` exports. */
export interface MailModule {
  readonly Post: new (secret: Uint8Array, entries: [string, Uint8Array][], seed: Uint8Array, puzzleBits: number, nowMs: number) => Post;
  readonly EnclosureSealer: new (key: Uint8Array, size: number) => {
    push(plain: Uint8Array): Uint8Array[];
    finish(name: string, type: string): { chunks: Uint8Array[]; enclosure: Enclosure; sealedSize: number };
    free(): void;
  };
  readonly EnclosureOpener: new (enclosure: Enclosure) => {
    readonly chunks: number;
    readonly sealedSize: number;
    open(index: number, sealed: Uint8Array): Uint8Array;
    free(): void;
  };
  readonly Mime: {
    build(draft: MimeDraft): Uint8Array;
    parse(bytes: Uint8Array): MimeMail;
    attachment(bytes: Uint8Array, index: number): Uint8Array;
  };
  readonly MboxReader: new () => { push(bytes: Uint8Array): Uint8Array[]; finish(): Uint8Array[]; free(): void };
  readonly mboxEntry: (raw: Uint8Array, from: string, timeMs: number) => Uint8Array;
  readonly StampSearch: new (prefix: Uint8Array, bits: number) => { step(tries: number): bigint | undefined; readonly tried: bigint; free(): void };
  readonly readCard: (text: string) => { id: string; name: string; hints: string[] };
  readonly safety: (id: string) => string;
  /** 32 random bytes as 24 words. */
  readonly wordsOf: (list: string, random: Uint8Array) => string;
}

/** Fetches and instantiates the module once; a failed attempt may be repeated. */
export function loadMailModule(): Promise<MailModule> {
  loading ??= loaded(instantiate()).catch((thrown: unknown) => {
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function instantiate(): Promise<MailModule> {
  const module = await import(/* webpackChunkName: "gyre-mail-module" */ '../wasm/gyre_mail.js');
  await module.default({ module_or_path: new URL('../wasm/gyre_mail_bg.wasm', import.meta.url) });
  return module;
}

let loading: Promise<MailModule> | undefined;

/** Bytes of a chunk of a sealed blob. */
export const SEALED_CHUNK = 256 * 1024;
/** Enclosures of one letter, and their bytes together with a long body (docs/mail.md). */
export const MAX_ENCLOSURES = 16;
export const MAX_ENCLOSED_BYTES = 25 * 1024 * 1024;
/** Recipients of one letter, as in the module. */
export const MAX_RECIPIENTS = 50;
