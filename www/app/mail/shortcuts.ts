/** From keys to commands, as web mail clients have them. Single letters do nothing while something is typed, and can be turned off. */

/** What a key asks for. */
export type Command =
  | 'next'
  | 'previous'
  | 'open'
  | 'back'
  | 'select'
  | 'star'
  | 'archive'
  | 'trash'
  | 'read'
  | 'unread'
  | 'reply'
  | 'replyAll'
  | 'forward'
  | 'write'
  | 'search'
  | 'undo'
  | 'help'
  | 'inbox'
  | 'sent'
  | 'drafts'
  | 'contacts';

/** What is needed of a key event. */
export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly repeat?: boolean;
}

/** Reads keys one after the other; `g` waits a moment for the one after it. */
export class Shortcuts {
  #prefix = -Infinity;

  /** The command of a key at `now` in milliseconds, `null` if it has none. */
  command(press: KeyPress, now: number): Command | null {
    if (press.ctrlKey || press.metaKey || press.altKey) return null;
    const second = now - this.#prefix < PREFIX_MS;
    this.#prefix = -Infinity;
    if (second) return AFTER_G.get(press.key) ?? null;
    if (press.key === 'g') {
      this.#prefix = now;
      return null;
    }
    const command = KEYS.get(press.key) ?? null;
    // A key held down moves on; it must not archive everything.
    return press.repeat && command !== 'next' && command !== 'previous' ? null : command;
  }
}

/** Whether what is typed there is text, or belongs to the thing itself. */
export function takesKeys(target: { readonly tagName?: string; readonly isContentEditable?: boolean; readonly type?: string } | null): boolean {
  if (!target) return false;
  if (target.isContentEditable) return true;
  const name = target.tagName?.toLowerCase();
  if (name === 'input') return !['checkbox', 'radio', 'button', 'submit', 'file'].includes(target.type ?? 'text');
  return name === 'textarea' || name === 'select' || name === 'iframe';
}

/** For the help: what to press, and what happens. */
export const SHORTCUT_HELP: readonly { readonly keys: readonly string[]; readonly does: string }[] = [
  { keys: ['j', 'k'], does: 'Next, previous' },
  { keys: ['Enter', 'o'], does: 'Open' },
  { keys: ['u'], does: 'Back to the list' },
  { keys: ['x'], does: 'Select' },
  { keys: ['s'], does: 'Star' },
  { keys: ['e'], does: 'Archive' },
  { keys: ['#', 'Delete'], does: 'To the trash' },
  { keys: ['I', 'U'], does: 'Read, unread' },
  { keys: ['z'], does: 'Undo' },
  { keys: ['c'], does: 'Write a mail' },
  { keys: ['r', 'a', 'f'], does: 'Reply, reply to all, forward' },
  { keys: ['/'], does: 'Search' },
  { keys: ['g then i, t, d, c'], does: 'Go to the inbox, sent mail, drafts, contacts' },
  { keys: ['Ctrl + Enter'], does: 'Send, while writing' },
  { keys: ['?'], does: 'This list' },
];

const KEYS = new Map<string, Command>([
  ['j', 'next'],
  ['k', 'previous'],
  ['o', 'open'],
  ['Enter', 'open'],
  ['u', 'back'],
  ['x', 'select'],
  ['s', 'star'],
  ['e', 'archive'],
  ['#', 'trash'],
  ['Delete', 'trash'],
  ['I', 'read'],
  ['U', 'unread'],
  ['r', 'reply'],
  ['a', 'replyAll'],
  ['f', 'forward'],
  ['c', 'write'],
  ['/', 'search'],
  ['z', 'undo'],
  ['?', 'help'],
]);
const AFTER_G = new Map<string, Command>([
  ['i', 'inbox'],
  ['t', 'sent'],
  ['d', 'drafts'],
  ['c', 'contacts'],
]);
/** Milliseconds after `g` in which the next key belongs to it. */
const PREFIX_MS = 1_500;
