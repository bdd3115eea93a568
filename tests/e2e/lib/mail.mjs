// People with mailboxes, each in a browser of their own that forgets nothing between two visits, and the machines that keep their mail.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Scene, Visitor } from './app.mjs';
import { launch, until } from './browser.mjs';
import { startRelay } from './relay.mjs';

/** How long a letter may take from one machine to others, in milliseconds: generous, for two cores with four browsers. */
export const MAIL_TIMEOUT_MS = 240_000;
/** Goes along in the envelope. */
export const ATTACHMENT_BYTES = 6_000;
/** Of a machine that keeps nothing for others: there is room for a small file, and none for an envelope. */
export const NO_ROOM = 16_000;
/** Room of a machine that keeps mail. */
export const ROOM = 200_000_000;

/** Letters that others hold for sure. */
export const STORED = ['stored', 'delivered', 'read'];

/** Machines beside a relay that keeps mail, so that a letter is stored for sure: one more than are needed, as a page may be busy. */
export const KEEPERS_BESIDE_RELAY = 4;

/** A relay that keeps mail, and so many machines of others that do, all in one browser. They end with the test. */
export async function custody(t, count = KEEPERS_BESIDE_RELAY) {
  const relay = await new Scene(t).add(startRelay({ args: ['--puzzle-bits', '0', '--mailboxes', '100MB'] }));
  const others = await launch('chromium');
  t.after(() => others.close());
  const keepers = await Promise.all(Array.from({ length: count }, () => Keeper.come(others, relay)));
  return { relay, keepers };
}

/** People who end with the test; `[kind, name, options]` of each. */
export function people(t, relay, ...all) {
  const made = all.map(([kind, name, options]) => new Person(kind, relay, name, options));
  t.after(() => Promise.all(made.map((person) => person.forget())));
  return made;
}

/** One person: a browser whose profile outlives it. With `keeps: false` their machine keeps nothing for others. */
export class Person {
  constructor(kind, relay, name, { keeps = true } = {}) {
    this.kind = kind;
    this.relay = relay;
    this.name = name;
    this.keeps = keeps;
    this.profile = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
    this.visitor = null;
  }

  /** Opens the page, without anything of mail. */
  async open() {
    this.visitor = await Visitor.arrive(this.kind, this.relay, { profile: this.profile });
    await this.visitor.node(async (gyre, quota) => {
      if (quota) await gyre.setQuota(quota);
      await gyre.setUpload(true);
    }, this.keeps ? null : NO_ROOM);
    return this.visitor;
  }

  /** Opens the page with the mailbox, as often as the person comes. */
  async come() {
    const visitor = await this.open();
    await visitor.node(async (gyre, name) => {
      if ((await gyre.keys.state()).state === 'missing') await gyre.keys.create();
      if ((await gyre.mail.state()).state === 'none') await gyre.mail.create(name);
      await gyre.mail.start();
      window.heard = [];
      gyre.mail.addEventListener('mail', ({ detail }) => window.heard.push(detail.id));
    }, this.name);
    return visitor;
  }

  async go() {
    const visitor = this.visitor;
    this.visitor = null;
    await visitor?.leave();
  }

  async forget() {
    await this.go();
    // What the browser started may still write for a moment.
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }

  ask(work, ...args) {
    return this.visitor.node(work, ...args);
  }

  id() {
    return this.ask(async (gyre) => (await gyre.mail.state()).id);
  }

  /** What others need to write to this person, once they can look it up. */
  async card(timeout = MAIL_TIMEOUT_MS) {
    await until(`${this.name} to be findable`, () => this.ask(async (gyre) => (await gyre.mail.state()).findable), { timeout });
    return this.ask(async (gyre) => (await gyre.mail.card()).link);
  }

  /** Sends letters, each with an attachment whose bytes follow from its number, and waits until they are stored. */
  async send(to, numbers, answers = {}, size = ATTACHMENT_BYTES) {
    const sent = await this.ask(async (gyre, id, all, bytes, threads) => {
      const messages = [];
      for (const number of all) {
        const file = new File([new Uint8Array(bytes).fill(number)], `${number}.bin`, { type: 'application/x-test' });
        const draft = { to: [id], subject: `number ${number}`, text: `This is letter ${number}.`, attachments: [file], ...threads[number] };
        messages.push(await gyre.mail.send(draft));
      }
      return messages;
    }, to, numbers, size, answers);
    await until(async () => `${this.name}'s letters to be stored; it says ${JSON.stringify(await this.statuses())}`, async () => {
      const states = await this.statuses();
      return sent.every(({ message }) => states.some((status) => status.message === message && STORED.includes(status.state)));
    }, { timeout: MAIL_TIMEOUT_MS });
    return sent;
  }

  statuses() {
    return this.ask(async (gyre) => (await gyre.mail.list('sent', { limit: 200 })).threads.map(({ status }) => status));
  }

  /** Waits for letters of somebody, and says what is in them, with the bytes of their attachments checked. */
  async receive(from, count) {
    const letters = () => this.ask(async (gyre, sender) => {
      const found = [];
      for (const folder of ['inbox', 'requests']) {
        for (const { id } of (await gyre.mail.list(folder, { limit: 200 })).threads) {
          for (const mail of await gyre.mail.thread(id)) if (mail.from.id === sender) found.push({ id: mail.id, thread: id, subject: mail.subject, text: mail.text, folder, attachments: mail.attachments.length });
        }
      }
      return found;
    }, from);
    await until(async () => `${count} letters at ${this.name}; there are ${JSON.stringify(await letters())}`, async () => (await letters()).length >= count, { timeout: MAIL_TIMEOUT_MS });
    return letters();
  }

  /** Bytes of an attachment that are not what they should be, or why it cannot be had. */
  wrong(message, number, size = ATTACHMENT_BYTES) {
    return this.ask(async (gyre, id, value, bytes) => {
      const blob = await gyre.mail.attachment(id, 0).catch((error) => error.code);
      if (typeof blob === 'string') return blob;
      const content = new Uint8Array(await blob.arrayBuffer());
      return content.length === bytes && blob.type === 'application/x-test' ? content.filter((byte) => byte !== value).length : `${content.length} bytes of ${blob.type}`;
    }, message, number, size);
  }
}

export const numberOf = ({ subject }) => Number(subject.replace('number ', ''));

/** A machine of somebody else that keeps mail: a tab with storage of its own in a browser that several share. */
export class Keeper {
  /** With `keeps: false` it is there, and keeps nothing before [`begin`](Keeper.begin) is called. */
  static async come(browser, relay, { keeps = true } = {}) {
    const keeper = new Keeper();
    keeper.visitor = await Visitor.arrive('chromium', relay, { browser: await browser.context() });
    await keeper.visitor.node(async (gyre, quota) => {
      await gyre.setQuota(quota);
      await gyre.setUpload(true);
    }, keeps ? ROOM : NO_ROOM);
    return keeper;
  }

  /** Keeps mail from now on; one that does already stops for a moment. */
  async begin() {
    await this.visitor.node((gyre, quota) => gyre.setQuota(quota), ROOM);
    // What there is room for is reckoned when it begins.
    await until('the room to be known', () => this.visitor.node((gyre, quota) => gyre.stats().storage.quota === quota, ROOM));
    await this.visitor.node(async (gyre) => {
      await gyre.setUpload(false);
      await gyre.setUpload(true);
    });
  }

  /** The same machine comes again: a tab that is loaded anew. */
  async again() {
    await this.visitor.page.reload({ waitUntil: 'domcontentloaded' });
    await this.visitor.joined();
  }

  /** Ids of the messages that lie in its database, as it would find them at its next start. */
  async holds() {
    return new Set(await this.visitor.node(() => new Promise((resolve, reject) => {
      const opening = indexedDB.open('gyre');
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const database = opening.result;
        const heads = database.transaction('kept_heads').objectStore('kept_heads').getAll();
        heads.onerror = () => reject(heads.error);
        heads.onsuccess = () => {
          database.close();
          // 32 bytes of key, four of what it counts, then the head: 1 is a message, 2 a tombstone.
          const messages = heads.result.filter((head) => head[36] === 1);
          resolve(messages.map((head) => Array.from(head.subarray(0, 32), (byte) => byte.toString(16).padStart(2, '0')).join('')));
        };
      };
    })));
  }

  leave() {
    return this.visitor.leave();
  }
}

/** Ids that any of these machines holds. */
export async function heldBy(keepers) {
  const all = await Promise.all(keepers.map((keeper) => keeper.holds()));
  return new Set(all.flatMap((ids) => [...ids]));
}
