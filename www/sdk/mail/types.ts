/**
 * What a mailbox shows: plain objects, each a snapshot of one moment.
 *
 * Sizes are bytes, points in time milliseconds since the Unix epoch. An id of a person is 52 characters of
 * z-base-32 (docs/identity.md), an id of a message 32 hex digits (docs/mail.md). What a sender says of
 * itself (names, subjects, texts) is a stranger's word: show it as text, and HTML only sanitised.
 */

import type { Progress } from '../types.js';

/** Where a thread is shown. */
export type Folder = 'inbox' | 'requests' | 'sent' | 'drafts' | 'archive' | 'trash';

/** The folders that {@link Mailbox.mark} moves to. */
export type PlainFolder = 'inbox' | 'archive' | 'trash';

/** Whether there is a mailbox here, and what it can do now. */
export interface MailState {
  /**
   * `none`: no identity on this machine yet; `locked`: unlock the keys, then {@link Mailbox.start}; `unsupported`: this
   * browser cannot keep a mailbox.
   */
  readonly state: 'none' | 'locked' | 'starting' | 'ready' | 'unsupported';
  /** One's own id; `null` without a mailbox. */
  readonly id: string | null;
  /** The name that others are told. */
  readonly name: string | null;
  /** `https://HOST/#/m/<id>`, for others to write to. */
  readonly link: string | null;
  /** Threads of the inbox with something unread. */
  readonly unread: number;
  /** Threads of strangers that wait for an answer. */
  readonly requests: number;
  readonly devices: readonly Device[];
  /** Somebody has used the keys of this identity against it; docs/identity.md says what counts then. */
  readonly forked: boolean;
  /**
   * Machines of this identity have changed it at the same moment: `open` while the one whose change does not count has yet to sign again,
   * `settled` if all of it counts; `null` if it is neither.
   */
  readonly concurrent: 'open' | 'settled' | null;
  /** The sites that the identity names, by number. Everybody can see them. */
  readonly sites: readonly NamedSite[];
  /**
   * `out`: this machine was removed, or the keys were changed elsewhere: {@link Mailbox.rejoin} brings it back. `ended`: the identity was
   * given up. Both read what is here, and neither sends nor gets mail.
   */
  readonly standing: 'in' | 'out' | 'ended';
  /** Whether the next key and the recovery key follow from words that are on no machine. */
  readonly onPaper: boolean;
  /** Whether others can look this mailbox up: before that, nobody can write to it. */
  readonly findable: boolean;
  readonly network: 'online' | 'searching' | 'offline';
}

/** A site as an identity names it. */
export interface NamedSite {
  /** Which of the identity's sites. */
  readonly site: number;
  /** The name that it is published under now, `k51…`. */
  readonly name: string;
}

/** Somebody in a header: by id, by the old world's address, or by a name alone. */
export interface Person {
  readonly id: string | null;
  /** What they call themselves, or the mail calls them. */
  readonly name: string;
  /** What the owner of the mailbox calls them. */
  readonly petname: string | null;
  /** An address `a@b`, of imported or bridged mail. */
  readonly address: string | null;
}

/** How far one letter has come to one recipient. */
export interface SendStatus {
  readonly message: string;
  /** Id of the recipient. */
  readonly to: string;
  /**
   * `waiting` in the outbox, for a connection or for the recipient's keys; `looking` for machines to
   * keep it; `uploading`: enough of them hold the letter, not yet what is attached; `stamping`: work that strangers ask for; `stored` on enough machines; then what the recipient says.
   */
  readonly state: 'waiting' | 'uploading' | 'looking' | 'stamping' | 'stored' | 'delivered' | 'read' | 'expired' | 'refused' | 'failed';
  /** Machines of other people that have signed for it. */
  readonly peers: number;
  /** Mailbox relays that have signed for it. */
  readonly relays: number;
  /**
   * How much of the state's work is done, where that is known. Of `uploading` 0 to 1: machines that have signed that they hold all that is
   * attached, of those that are to. Of `stamping` numbers that were tried, of those that are to be expected: more than 1 where luck is bad.
   */
  readonly progress: number | null;
  /**
   * Why, where something is wrong. `UPLOADS_OFF`: something of it lies in the swarm, and the person lets nothing be sent from here
   * (`setUpload`); `UPLOADS_HELD`: their limits do not now (`stats().uploadHold`).
   */
  readonly code: string | null;
}

/** One conversation in a list. */
export interface ThreadSummary {
  readonly id: string;
  readonly subject: string;
  /** The beginning of the latest text, on one line. */
  readonly snippet: string;
  /** Who has written in it, latest last; for `sent` and `drafts` whom it is to. */
  readonly from: readonly Person[];
  /** Time of the latest mail. */
  readonly time: number;
  readonly unread: boolean;
  /** Mails in it. */
  readonly count: number;
  readonly starred: boolean;
  /** Attachments of all its mails. */
  readonly attachments: number;
  readonly folder: Folder;
  /** Of one's own latest mail, the recipient that is furthest behind; `null` if none of it is one's own. */
  readonly status: SendStatus | null;
}

/** One attachment of a {@link Mail}; {@link Mailbox.attachment} opens it by its place in the list. */
export interface MailAttachment {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** Whether it can be opened without a connection. */
  readonly here: boolean;
  /** What `cid:` addresses in the HTML call it, without angle brackets; left out if it has none. */
  readonly contentId?: string | null;
}

/** One mail. */
export interface Mail {
  readonly id: string;
  readonly thread: string;
  readonly from: Person;
  readonly to: readonly Person[];
  readonly time: number;
  readonly subject: string;
  readonly text: string;
  /** As it was sent: sanitise it before it is shown. */
  readonly html: string | null;
  readonly attachments: readonly MailAttachment[];
  readonly own: boolean;
  readonly read: boolean;
  /** Of own mail, one for each recipient. */
  readonly status: readonly SendStatus[];
  /** What vouches for `from`: a device's signature, nothing (`imported`), or a bridge of the old world. */
  readonly verified: 'device' | 'imported' | 'bridge';
}

/** A mail that is being written. */
export interface Draft {
  /** As {@link Mailbox.saveDraft} said; left out for a new one. */
  readonly id?: string;
  /** Ids of people. A draft that is only saved may hold what cannot be sent yet. */
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  readonly attachments: readonly (File | Blob)[];
  /** The thread it belongs to. */
  readonly thread?: string;
  /** The message it answers. */
  readonly inReplyTo?: string;
  /**
   * Names of attachments that lie on another machine of this person; left out, nothing about them changes. A mail is sent only when
   * there are none: attach them here, or leave their names out.
   */
  readonly elsewhere?: readonly string[];
}

/** Somebody whom the owner of the mailbox knows, or who asks to be known. */
export interface Contact {
  readonly id: string;
  readonly petname: string | null;
  /** What they call themselves. */
  readonly name: string | null;
  readonly state: 'accepted' | 'request' | 'blocked' | 'muted';
  /** How the first word came. */
  readonly met: 'card' | 'link' | 'mail';
  readonly since: number;
  /** A short fingerprint of who they are, which they see in their own card: for two people to compare. */
  readonly safety: string;
  readonly forked: boolean;
  /** They have given their identity up: nothing is sent to it any more. */
  readonly ended: boolean;
}

/** One machine of this identity. */
export interface Device {
  readonly key: string;
  /** Whether it is this one. */
  readonly me: boolean;
  readonly since: number;
}

/** One operation of one's own identity (docs/identity.md). */
export interface IdentityStep {
  readonly act: 'begin' | 'rotate' | 'recover' | 'add' | 'remove' | 'mail' | 'site' | 'end';
  /** By the clock of the machine that signed it; 0 for the first. */
  readonly time: number;
}

/** What the owner of the mailbox has chosen; remembered, and the same on all their machines but for `notifications`. */
export interface MailSettings {
  /** Tell senders that a mail was read; default `false`. */
  readonly readReceipts: boolean;
  /** Work asked of strangers' machines for a first letter, in bits. */
  readonly stampBits: number;
  /** `ask`: first letters of strangers wait as requests; `closed`: they are not taken. */
  readonly strangers: 'ask' | 'closed';
  /** The page is to show a notification of the browser at the event `mail`; remembered for it, default `false`. */
  readonly notifications: boolean;
}

/** What {@link Mailbox.list} found. */
export interface ThreadPage {
  readonly threads: readonly ThreadSummary[];
  /** Pass it as `before` to go on; `null` at the end. */
  readonly next: string | null;
  /** Threads in the folder. */
  readonly total: number;
}

/** What {@link Mailbox.search} found. */
export interface FoundThreads {
  readonly threads: readonly ThreadSummary[];
  /** `false` if some of the mail was not looked through yet, after many mails came at once: `change` events of any threads tell of more. */
  readonly complete: boolean;
}

/** Options of work that takes long. */
export interface MailWork {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** What {@link Mailbox.recover} found. */
export interface Recovered {
  /** Whether the identity of the keys was found. */
  readonly found: boolean;
  readonly mails: number;
  readonly contacts: number;
}

/** The events of a {@link Mailbox}; they reach every tab. */
export interface MailboxEventMap {
  /** {@link Mailbox.state} has changed. */
  state: Event;
  /** Threads came, changed or went; an empty list means any of them. */
  change: CustomEvent<{ readonly threads: readonly string[] }>;
  /** A letter has come further. */
  status: CustomEvent<SendStatus>;
  /** {@link Mailbox.contacts} has changed. */
  contacts: Event;
  /** New mail has come: once for each, in the tab that runs the peer and in the others. */
  mail: CustomEvent<ThreadSummary>;
}

/** The mailbox of this browser's person; from {@link Gyre.mail}. Loaded when it is used first. */
export interface Mailbox extends EventTarget {
  state(): Promise<MailState>;
  /** Opens the mailbox; the keys must be unlocked. @throws GyreError `LOCKED`, `NO_KEYS`, `NO_IDENTITY`, `UNSUPPORTED`. */
  start(): Promise<void>;
  /** Makes an identity and its mailbox. @throws GyreError `LOCKED`, `NO_KEYS`, `MAIL_EXISTS`, `BAD_OPTIONS`. */
  create(name: string): Promise<void>;
  /**
   * Looks for the identity of keys that came by the 24 words, and for what is still kept for it. Needs a connection.
   * `found` is `false` if nobody reachable knows it: try later, or {@link create}.
   */
  recover(options?: MailWork): Promise<Recovered>;

  /** Threads of a folder, latest first; 50 if `limit` is left out. */
  list(folder: Folder, options?: { readonly before?: string; readonly limit?: number }): Promise<ThreadPage>;
  /** Mails of a thread, oldest first. */
  thread(id: string): Promise<Mail[]>;
  /** Threads that match all words, best first, all folders but trash; 50 if `limit` is left out. */
  search(query: string, options?: { readonly limit?: number }): Promise<FoundThreads>;

  /**
   * Resolves when the mail is safe in the outbox; `status` events tell how it goes on, also without a connection.
   *
   * @throws GyreError `BAD_OPTIONS` (no recipient, too many, too large), `LOCKED`, `QUOTA_EXCEEDED`, `ABORTED`.
   */
  send(draft: Draft, options?: MailWork): Promise<{ readonly message: string; readonly thread: string }>;
  /** Stops trying to deliver; what is stored at others stays until it expires. */
  cancel(message: string): Promise<void>;
  /** Tries a letter again that was cancelled, has failed or expired. */
  retry(message: string): Promise<void>;

  /** Keeps a draft and returns its id; a draft with an id replaces that one. */
  saveDraft(draft: Draft): Promise<string>;
  draft(id: string): Promise<Draft>;
  deleteDraft(id: string): Promise<void>;

  mark(
    threads: readonly string[],
    flags: { readonly read?: boolean; readonly starred?: boolean; readonly folder?: PlainFolder },
  ): Promise<void>;
  /** Deletes for good, on all own machines. */
  remove(threads: readonly string[]): Promise<void>;

  /** An attachment, fetched if it is not here. @throws GyreError `NOT_FOUND` (nobody reachable has it: try later), `ABORTED`. */
  attachment(message: string, index: number, options?: MailWork): Promise<Blob>;

  contacts(): Promise<Contact[]>;
  /** Takes a card or a link. @throws GyreError `BAD_LINK`. */
  addContact(cardOrLink: string, petname: string): Promise<Contact>;
  setContact(id: string, change: { readonly petname?: string; readonly state?: Contact['state'] }): Promise<void>;
  /** Whom a link, an id or a petname means. Whether they are there now nobody can tell: no machine is known to be theirs. @throws GyreError `BAD_LINK`. */
  resolve(text: string): Promise<{ readonly id: string; readonly contact: Contact | null }>;
  /** One's own card: a link to show, the text in it, and the fingerprint that others see beside one's name. */
  card(): Promise<{ readonly link: string; readonly text: string; readonly safety: string }>;

  settings(): Promise<MailSettings>;
  set(settings: Partial<MailSettings>): Promise<void>;

  /** Takes the mails of an `.eml` or mbox file; one that is here already is skipped. */
  import(file: Blob, options?: MailWork): Promise<{ readonly mails: number; readonly skipped: number }>;
  /** One mbox file, or one `.eml` file if `threads` hold one mail (else a ZIP of them); all but trash if `threads` is left out. */
  export(format: 'mbox' | 'eml', options?: MailWork & { readonly threads?: readonly string[] }): Promise<Blob>;

  /** Takes a machine out of this identity: it gets no more mail. */
  removeDevice(key: string): Promise<void>;
  /** 24 new words for a paper. They mean nothing before {@link changeKeys} is told them, and are kept nowhere. */
  recoveryWords(): Promise<string>;
  /**
   * Changes the keys of the identity; from then on it takes the words `next` to change them again or to give it up. `words` are the ones
   * of the paper that counts now; the first time they are left out. With them every other machine is left out until it is told them
   * ({@link rejoin}), and the mailbox is a new one. `keep` takes an identity back: so many operations of {@link history} stay, what
   * follows is undone, within 72 hours.
   *
   * @throws GyreError `BAD_PHRASE` (other words), `BAD_OPTIONS` (too late, or given up).
   */
  changeKeys(options: { readonly words?: string; readonly next: string; readonly keep?: number }): Promise<void>;
  /** Brings this machine back with the words of the paper that was used last. @throws GyreError `BAD_PHRASE`, `BAD_OPTIONS`. */
  rejoin(words: string): Promise<void>;
  /** Gives the identity up for good; others are told, and send nothing more. `words` as for {@link changeKeys}. @throws GyreError `BAD_PHRASE`. */
  giveUp(words?: string): Promise<void>;
  /**
   * Says under which name (`k51…`) one of this identity's sites is published from now on, or that it is no more (`null`). The site names
   * the identity in its file `/.well-known/gyre-identity`: `dmail:<id> <number>` (docs/sites.md).
   *
   * @throws GyreError `BAD_NAME`, `BAD_OPTIONS` (too many, given up), `BAD_PHRASE` (this machine has not the keys that count).
   */
  setSite(site: number, name: string | null): Promise<void>;
  /** What was done to the identity, the first first. */
  history(): Promise<IdentityStep[]>;
  /** What this machine keeps for others. */
  kept(): Promise<{ readonly envelopes: number; readonly bytes: number; readonly attachments: number; readonly attachmentBytes: number }>;

  addEventListener<K extends keyof MailboxEventMap>(
    type: K,
    listener: (event: MailboxEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}
