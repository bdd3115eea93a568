/** How people are called, and which of them somebody means who types a name. */

import type { Contact, Mail, Person } from 'gyre';
import { readPetname } from '../lib/petnames.js';

/** What to show for somebody: the person's own name for them first, then what they call themselves. */
export function personName(person: Person): string {
  return person.petname ?? (readPetname(person.name) || person.address || (person.id === null ? 'Unknown sender' : shortIdentity(person.id)));
}

/** Whether the name is only what they say of themselves. */
export function isClaimed(person: Person): boolean {
  return person.petname === null;
}

/** What to show for a contact. */
export function contactName(contact: Pick<Contact, 'id' | 'petname' | 'name'>): string {
  return contact.petname ?? readPetname(contact.name ?? '') ?? shortIdentity(contact.id);
}

/** The start and the end of an id. */
export function shortIdentity(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 6)}…${id.slice(-6)}`;
}

/** Names of several, shortened: `Ada, Grace and 3 others`. */
export function nameList(people: readonly Person[], most = 3): string {
  const names = [...new Set(people.map(personName))];
  if (names.length <= most) return joined(names);
  const rest = names.length - most + 1;
  return `${names.slice(0, most - 1).join(', ')} and ${rest} others`;
}

/** Contacts that may be meant by what was typed so far, those whose name begins so first; without blocked ones and those in `but`. */
export function completions(contacts: readonly Contact[], typed: string, but: ReadonlySet<string>, most = MOST_SHOWN): Contact[] {
  const wanted = folded(typed);
  if (wanted === '') return [];
  const ranked: { contact: Contact; rank: number }[] = [];
  for (const contact of contacts) {
    if (contact.state === 'blocked' || contact.state === 'request' || but.has(contact.id)) continue;
    const names = [contact.petname, contact.name].filter((name) => name !== null).map(folded);
    const rank = names.some((name) => name.startsWith(wanted)) ? 0 : names.some((name) => name.includes(` ${wanted}`)) ? 1 : contact.id.startsWith(wanted) ? 2 : -1;
    if (rank >= 0) ranked.push({ contact, rank });
  }
  const byName = (a: Contact, b: Contact): number => contactName(a).localeCompare(contactName(b));
  return ranked.sort((a, b) => a.rank - b.rank || byName(a.contact, b.contact)).slice(0, most).map(({ contact }) => contact);
}

/** The one contact that is called so by the person, or by an id; `null` if none or several are. */
export function contactCalled(contacts: readonly Contact[], text: string): Contact | null {
  const wanted = folded(text);
  const own = contacts.filter(({ id, petname }) => id === text.trim() || (petname !== null && folded(petname) === wanted));
  return own.length === 1 ? (own[0] ?? null) : null;
}

/**
 * Whether a conversation is only of people who were not let in yet. It is asked of the mails themselves: the address of a
 * conversation may name any folder. What was imported is nobody's request.
 */
export function isOfStrangers(mails: readonly Mail[], contacts: readonly Contact[]): boolean {
  const known = new Set(contacts.filter(({ state }) => state !== 'request').map(({ id }) => id));
  return mails.length > 0 && mails.every(({ own, verified, from }) => !own && verified !== 'imported' && (from.id === null || !known.has(from.id)));
}

/** The pieces of what was typed or pasted as recipients. Names may hold spaces, so only commas, semicolons and line ends divide. */
export function recipientsIn(text: string): string[] {
  return text.split(/[,;\n\t]+/).map((piece) => piece.trim()).filter((piece) => piece !== '');
}

/** Groups of four: easier to read out and to compare. */
export function safetyGroups(safety: string): string[] {
  const words = safety.trim().split(/\s+/);
  return words.length > 1 ? words : (safety.match(/.{1,4}/gu) ?? []);
}

function folded(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().trim();
}

function joined(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** More do not fit under the field. */
const MOST_SHOWN = 6;
