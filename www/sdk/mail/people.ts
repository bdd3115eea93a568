/** Who is who: names and petnames, addresses of letters, and whom a text means. */

import { GyreError } from '../errors.js';
import type { MailModule, MimePerson, Post, PostContact } from './module.js';
import type { Who } from './records.js';
import type { Contact, Person } from './types.js';

/** The people of one mailbox. */
export class People {
  readonly #module: MailModule;
  readonly #post: Post;
  /** How the first word of each came, where it was not a mail. */
  readonly met: Map<string, Contact['met']>;
  #known = new Map<string, Known>();
  /** What the owner is called. */
  name = '';

  constructor(module: MailModule, post: Post, met: readonly (readonly [string, Contact['met']])[]) {
    this.#module = module;
    this.#post = post;
    this.met = new Map(met);
    this.refresh();
  }

  /** The owner's id. */
  get me(): string {
    return this.#post.id;
  }

  /** Asks the module anew. */
  refresh(): void {
    const known = this.#post.contacts().filter((contact): contact is Known => contact.state !== 'forgotten');
    this.#known = new Map(known.map((contact) => [contact.id, contact]));
  }

  /** All contacts, by what they are called. */
  contacts(): Contact[] {
    const called = ({ petname, name, id }: Contact): string => petname ?? name ?? id;
    return [...this.#known.values()].map((contact) => this.#shown(contact)).sort((a, b) => called(a).localeCompare(called(b)));
  }

  contact(id: string): Contact | null {
    const known = this.#known.get(id);
    return known ? this.#shown(known) : null;
  }

  /** Somebody as a page shows them. */
  person({ id, name, address }: Who): Person {
    if (id !== null && id === this.me) return { id, name: name || this.name, petname: null, address };
    // Whom a bridge names is not the bridge, whatever that is called here.
    const known = id === null || address !== null ? undefined : this.#known.get(id);
    return { id, name: name || (known?.name ?? ''), petname: known?.petname ?? null, address };
  }

  /** Somebody by id alone. */
  who(id: string): Who {
    const name = id === this.me ? this.name : (this.#known.get(id)?.name ?? '');
    return { id, name, address: null };
  }

  /** As a header names them: the domain is one that no mail of the old world is ever sent to. */
  mimePerson(id: string): MimePerson {
    return { name: this.who(id).name, address: `${id}${DOMAIN}` };
  }

  /** Somebody that a header names. */
  ofMime({ name, address }: MimePerson): Who {
    const id = address.endsWith(DOMAIN) ? address.slice(0, -DOMAIN.length) : '';
    if (ID.test(id)) return { id, name, address: null };
    return { id: null, name: name || address, address: address || null };
  }

  /** Reads a card, a link or an id. @throws GyreError `BAD_LINK`. */
  read(text: string): { id: string; name: string } {
    if (text.length > MAX_TEXT) throw new GyreError('BAD_LINK', 'This is too long to be an address.');
    try {
      return this.#module.readCard(text.trim());
    } catch (cause) {
      throw new GyreError('BAD_LINK', 'This is not the address of a person.', { cause });
    }
  }

  /** Whom a link, an id or a petname means. @throws GyreError `BAD_LINK`. */
  resolve(text: string): string {
    const asked = text.trim().toLocaleLowerCase();
    const named = [...this.#known.values()].filter((contact) => contact.petname?.toLocaleLowerCase() === asked);
    if (named.length === 1 && named[0]) return named[0].id;
    if (named.length > 1) throw new GyreError('BAD_LINK', 'Several people have this name.');
    return this.read(text).id;
  }

  #shown({ id, state, name, petname, since, forked, ended, safety }: Known): Contact {
    return { id, petname: petname ?? null, name: name ?? null, state, met: this.met.get(id) ?? 'mail', since, safety, forked, ended };
  }
}

type Known = PostContact & { readonly state: Contact['state'] };

/** A domain of RFC 2606: nobody has it. */
const DOMAIN = '@dmail.invalid';
const ID = /^[a-z1-9]{52}$/;
/** Characters of a card with its link. */
const MAX_TEXT = 4096;
