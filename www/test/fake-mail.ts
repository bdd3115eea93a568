/** A mail module and custodians in memory: letters in clear, but kept, handed over and acknowledged as the real ones do. */

import type { Input, Letter, MailModule, MimeDraft, MimeMail, Output, Post, PostContact, PostDraft } from '../sdk/mail/module.js';
import { hex } from '../sdk/mail/seal.js';
import type { MailNode } from '../sdk/mail/office.js';

const text = new TextEncoder();
const words = new TextDecoder();

/** JSON with bytes in it. */
function pack(value: unknown): Uint8Array {
  return text.encode(JSON.stringify(value, (_, held) => (held instanceof Uint8Array ? { bytes: hex(held) } : held)));
}

function unpack<T>(bytes: Uint8Array): T {
  return JSON.parse(words.decode(bytes), (_, held) => (typeof held?.bytes === 'string' ? Uint8Array.from(Buffer.from(held.bytes, 'hex')) : held)) as T;
}

/** What lies with custodians. */
export class World {
  readonly boxes = new Map<string, Map<string, Uint8Array>>();
  /** How often each letter was handed in. */
  readonly handedIn = new Map<string, number>();
  /** Blobs by CID, with who has them. */
  readonly blobs = new Map<string, Uint8Array>();

  /** What machines tell the others of one person, by their names. */
  readonly told = new Map<string, Map<string, Uint8Array>>();

  box(id: string): Map<string, Uint8Array> {
    const box = this.boxes.get(id) ?? new Map<string, Uint8Array>();
    this.boxes.set(id, box);
    return box;
  }
}

/** The custody part of a node. */
export class FakeCustody implements MailNode {
  online = true;
  keys: 'missing' | 'locked' | 'unlocked' = 'unlocked';
  #listener: (peer: Uint8Array, message: Uint8Array | undefined) => void = () => undefined;

  constructor(
    readonly world: World,
    readonly secret: Uint8Array,
  ) {}

  keyState = async () => ({ state: this.keys, locks: [] });
  mailSecret = async (): Promise<Uint8Array> => {
    if (this.keys === 'unlocked') return this.secret;
    throw Object.assign(new Error('locked'), { code: this.keys === 'locked' ? 'LOCKED' : 'NO_KEYS' });
  };
  puzzleBits = (): number => 0;
  custodyNearest = async (): Promise<Uint8Array> => (this.online ? new Uint8Array(32) : new Uint8Array());
  custodyRelays = async (): Promise<Uint8Array> => (this.online ? new Uint8Array(32) : new Uint8Array());
  custodyOpen = (): void => undefined;
  recordGet = async (): Promise<Uint8Array[]> => [];
  recordPut = async (): Promise<number> => 1;
  setCustodyListener = (listener: typeof this.listener): void => void (this.#listener = listener);
  get listener(): (peer: Uint8Array, message: Uint8Array | undefined) => void {
    return this.#listener;
  }

  custodySend = (peer: Uint8Array, message: Uint8Array): void => {
    if (!this.online) throw new Error('offline');
    const said = unpack<{ put?: { to: string; letter: Letter }; list?: string; tell?: { of: string; device: string; data: Uint8Array }; remove?: { of: string; message: string } }>(message);
    const answer = (value: unknown): void => void setTimeout(() => this.#listener(peer, pack(value)));
    if (said.put) {
      const { to, letter } = said.put;
      this.world.box(to).set(letter.message, pack(letter));
      this.world.handedIn.set(letter.message, (this.world.handedIn.get(letter.message) ?? 0) + 1);
      answer({ receipt: { message: letter.message, to } });
    }
    if (said.list) for (const letter of this.world.box(said.list).values()) setTimeout(() => this.#listener(peer, pack({ letter: unpack(letter) })));
    if (said.tell) {
      const { of, device, data } = said.tell;
      this.world.told.set(of, new Map(this.world.told.get(of)).set(device, data));
    }
    if (said.list) for (const [device, data] of this.world.told.get(said.list) ?? []) answer({ told: { device, data } });
    if (said.remove) this.world.box(said.remove.of).delete(said.remove.message);
  };
}

interface Saved {
  name: string | null;
  outbox: Record<string, { token: string; message: string; letter: Letter; stored: string[] }>;
  letters: Record<string, { letter: Letter; stored: boolean }>;
  contacts: Record<string, PostContact>;
}

class FakePost implements Post {
  readonly id: string;
  readonly #saved: Saved;
  readonly #outputs: Output[] = [];
  readonly said: Input[] = [];
  readonly #device = hex(crypto.getRandomValues(new Uint8Array(32)));
  readonly #heard = new Map<string, string>();

  constructor(secret: Uint8Array, entries: [string, Uint8Array][]) {
    this.id = idOf(secret);
    const state = entries.find(([key]) => key === 'state');
    this.#saved = state ? unpack<Saved>(state[1]) : { name: null, outbox: {}, letters: {}, contacts: {} };
    this.#identity();
    for (const { letter, stored } of Object.values(this.#saved.letters)) if (!stored) this.#outputs.push(letter);
  }

  get ready(): boolean {
    return this.#saved.name !== null;
  }

  begin(name: string): void {
    this.#saved.name = name;
    this.#save();
    this.#identity();
    this.#look();
  }

  recover(name: string): void {
    this.begin(name || 'recovered');
  }

  poll(): Output | undefined {
    return this.#outputs.shift();
  }

  room(): number {
    return 14_900;
  }

  card(): string {
    return `dmail:${this.id}`;
  }

  contacts(): PostContact[] {
    return Object.values(this.#saved.contacts);
  }

  renew(): void {}
  rejoin(): void {}
  end(): void {}
  setSite(): void {}
  history(): [] {
    return [];
  }
  free(): void {}

  handle(input: Input): void {
    const { letters, outbox, contacts } = this.#saved;
    switch (input.kind) {
      case 'online':
      case 'tick':
        return this.#look();
      case 'send':
        return this.#send(input.draft, input.token);
      case 'stored': {
        const known = letters[input.message];
        if (!known) return;
        known.stored = true;
        this.#save();
        return this.#ask({ remove: { of: this.id, message: input.message } });
      }
      case 'sync':
        return this.#ask({ tell: { of: this.id, device: this.#device, data: input.data } });
      case 'contact': {
        const { id, petname, state } = input;
        if (state === 'forgotten') delete contacts[id];
        else contacts[id] = { ...this.#stranger(id), ...contacts[id], state, ...(petname ? { petname } : {}) };
        this.#save();
        this.#outputs.push({ do: 'contact', id, state });
        return;
      }
      case 'answer': {
        if (!input.message) return;
        const said = unpack<{ receipt?: { message: string; to: string }; letter?: Letter; told?: { device: string; data: Uint8Array } }>(input.message);
        const { told } = said;
        if (told && told.device !== this.#device && this.#heard.get(told.device) !== hex(told.data)) {
          this.#heard.set(told.device, hex(told.data));
          this.#outputs.push({ do: 'sync', ...told });
        }
        if (said.letter && !letters[said.letter.message]) {
          letters[said.letter.message] = { letter: said.letter, stored: false };
          const { from } = said.letter;
          const state = contacts[from]?.state;
          said.letter = { ...said.letter, request: state !== 'accepted' && state !== 'muted', muted: state === 'muted' };
          const isNew = !contacts[from];
          if (isNew) contacts[from] = { ...this.#stranger(from), state: 'request', name: 'A stranger' };
          this.#save();
          if (isNew) this.#outputs.push({ do: 'contact', id: from, state: 'request' });
          this.#outputs.push(said.letter);
        }
        const sent = said.receipt && outbox[said.receipt.message];
        if (said.receipt && sent && !sent.stored.includes(said.receipt.to)) {
          sent.stored.push(said.receipt.to);
          this.#save();
          this.#outputs.push({ do: 'status', message: said.receipt.message, to: said.receipt.to, state: 'stored', peers: 1, relays: 0 });
        }
        return;
      }
      default:
    }
  }

  #send(draft: PostDraft, token: string): void {
    const before = Object.values(this.#saved.outbox).find((sent) => sent.token === token);
    if (before) return void this.#outputs.push({ do: 'sent', token, message: before.message, thread: before.letter.thread });
    if (draft.to.some((id) => this.#saved.contacts[id]?.state === 'blocked')) {
      return void this.#outputs.push({ do: 'failed', token, code: 'MAIL_BLOCKED' });
    }
    const message = hex(crypto.getRandomValues(new Uint8Array(16)));
    const { to, mime, body, enclosures, thread = message } = draft;
    const letter: Letter = {
      do: 'letter',
      message,
      thread,
      from: this.id,
      to,
      timeMs: Date.now(),
      ...(mime ? { mime } : {}),
      ...(body ? { body } : {}),
      enclosures,
      request: false,
      own: false,
      muted: false,
    };
    this.#saved.outbox[message] = { token, message, letter, stored: [] };
    this.#save();
    this.#outputs.push({ do: 'sent', token, message, thread });
    for (const id of to) this.#outputs.push({ do: 'status', message, to: id, state: 'waiting', peers: 0, relays: 0 });
    this.#look();
  }

  #look(): void {
    if (!this.ready) return;
    for (const { letter, stored } of Object.values(this.#saved.outbox)) {
      for (const to of letter.to) if (!stored.includes(to)) this.#ask({ put: { to, letter } });
    }
    this.#ask({ list: this.id });
    this.#outputs.push({ do: 'wake', atMs: Date.now() + 20 });
  }

  #ask(message: unknown): void {
    this.#outputs.push({ do: 'ask', peer: new Uint8Array(32), message: pack(message) });
  }

  #save(): void {
    this.#outputs.push({ do: 'save', key: 'state', value: pack(this.#saved) });
  }

  #identity(): void {
    const { name } = this.#saved;
    const devices = name === null ? [] : [true, false].map((me) => ({ key: (me ? 'd' : 'e').repeat(64), me, since: 1, seen: 1 }));
    this.#outputs.push({ do: 'identity', state: name === null ? 'none' : 'ready', devices, sites: [], forks: 0, open: 0, settled: 0, onPaper: false, name: name ?? '' });
  }

  #stranger(id: string): PostContact {
    return { id, state: 'request', since: 1, forked: false, ended: false, safety: '12345 12345 12345 12345 12345 12345' };
  }
}

/** The id that follows from a secret. */
export function idOf(secret: Uint8Array): string {
  return `${'y'.repeat(50)}${'ybndrfg8'[secret[0]! & 7]}y`;
}

/** Messages `name: value` and a text; attachments are not parsed. */
class FakeMime {
  static build(draft: MimeDraft): Uint8Array {
    const people = (list: readonly { name: string; address: string }[]) => list.map(({ name, address }) => `${name} <${address}>`).join(', ');
    const head = [
      `From: ${people([draft.from])}`,
      `To: ${people(draft.to)}`,
      `Subject: ${draft.subject}`,
      `Message-ID: <${draft.messageId}>`,
      `Date: ${new Date(draft.dateMs).toUTCString()}`,
      ...(draft.inReplyTo ? [`In-Reply-To: <${draft.inReplyTo}>`] : []),
      ...draft.parts.map((part) => `X-Part: ${part.name} ${hex(part.content)}`),
    ];
    return text.encode(`${head.join('\r\n')}\r\n\r\n${draft.text}`);
  }

  static parse(bytes: Uint8Array): MimeMail {
    const [head = '', ...body] = words.decode(bytes).split(/\r?\n\r?\n/);
    const field = (name: string): string => new RegExp(`^${name}: (.*?)\\r?$`, 'im').exec(head)?.[1] ?? '';
    const people = (list: string) =>
      list.split(', ').flatMap((one) => {
        const [, name = '', address = ''] = /^(.*?) ?<(.*)>$/.exec(one) ?? [];
        return address === '' ? [] : [{ name, address }];
      });
    const ids = (list: string): string[] => [...list.matchAll(/<(.*?)>/g)].map(([, id = '']) => id);
    const date = Date.parse(field('Date'));
    return {
      subject: field('Subject'),
      from: people(field('From')),
      to: people(field('To')),
      cc: [],
      dateMs: Number.isNaN(date) ? null : date,
      messageId: ids(field('Message-ID'))[0] ?? null,
      inReplyTo: ids(field('In-Reply-To')),
      references: ids(field('References')),
      text: body.join('\n\n'),
      html: null,
      attachments: [],
    };
  }

  static attachment(): Uint8Array {
    throw new Error('no such part');
  }
}

class FakeSealer {
  #held: Uint8Array[] = [];

  constructor(
    readonly key: Uint8Array,
    readonly size: number,
  ) {}

  push(plain: Uint8Array): Uint8Array[] {
    this.#held.push(plain.map((byte) => byte ^ 0x55));
    return [];
  }

  finish(name: string, type: string) {
    const chunks = [new Uint8Array(Buffer.concat(this.#held))];
    const hash = hex(chunks[0]!.slice(0, 16)).padEnd(64, hex(this.key).slice(0, 8));
    return { chunks, enclosure: { hash, key: this.key, size: this.size, name, type }, sealedSize: chunks[0]!.byteLength };
  }

  free(): void {}
}

class FakeOpener {
  readonly chunks: number;
  readonly sealedSize: number;

  constructor({ size }: { size: number }) {
    this.sealedSize = size;
    this.chunks = Math.ceil(size / (256 * 1024));
  }

  open(_index: number, sealed: Uint8Array): Uint8Array {
    return sealed.map((byte) => byte ^ 0x55);
  }

  free(): void {}
}

/** One reader of files, as simple as the format allows. */
class FakeMbox {
  #held = '';

  push(bytes: Uint8Array): Uint8Array[] {
    this.#held += Buffer.from(bytes).toString('latin1');
    const parts = this.#held.split(/^From .*\n/m);
    this.#held = `From x\n${parts.pop() ?? ''}`;
    return parts.filter((part) => part !== '').map(mailOf);
  }

  finish(): Uint8Array[] {
    return this.#held.replace(/^From .*\n/, '') === '' ? [] : [mailOf(this.#held.replace(/^From .*\n/, ''))];
  }

  free(): void {}
}

function mailOf(entry: string): Uint8Array {
  return new Uint8Array(Buffer.from(entry.replace(/\n$/, '').replace(/^>(>*From )/gm, '$1'), 'latin1'));
}

export const fakeModule: MailModule = {
  Post: FakePost,
  EnclosureSealer: FakeSealer,
  EnclosureOpener: FakeOpener as unknown as MailModule['EnclosureOpener'],
  Mime: FakeMime,
  MboxReader: FakeMbox,
  mboxEntry: (raw, from, timeMs) => {
    const body = Buffer.from(raw).toString('latin1').replace(/^(>*From )/gm, '>$1');
    return new Uint8Array(Buffer.from(`From ${from} ${new Date(timeMs).toUTCString()}\n${body}\n`, 'latin1'));
  },
  StampSearch: class {
    readonly tried = 0n;
    step(): bigint {
      return 7n;
    }
    free(): void {}
  },
  readCard: (card) => {
    const id = /(?:^dmail:|#\/m\/|^)([ybndrfg8ejkmcpqxot1uwisza345h769]{52})$/.exec(card)?.[1];
    if (!id) throw new Error('no card');
    return { id, name: '', hints: [] };
  },
  wordsOf: () => '',
  safety: () => '12345 12345 12345 12345 12345 12345',
};
