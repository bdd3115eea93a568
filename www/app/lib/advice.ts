/** What to say about an error: what happened, and what the person can do about it. */

import type { ErrorCode } from 'gyre';

/** What the one button under an error does. */
export type Remedy = 'retry' | 'storage' | 'lists' | 'reload' | 'home' | null;

/** Whether it is a state that passes, with nothing broken. */
export function isCalm(code: ErrorCode): boolean {
  return code === 'STORE_BUSY' || code === 'NOT_FOUND' || code === 'ABORTED';
}

/** An error in plain words. */
export interface Advice {
  readonly title: string;
  readonly advice: string;
  readonly remedy: Remedy;
}

/** Plain words for `code`; `message` is the node's own sentence, used where it says more. */
export function adviceFor(code: ErrorCode, message = ''): Advice {
  switch (code) {
    case 'STORE_BUSY':
      return {
        title: 'Another tab runs a different version of Gyre',
        advice: 'Reload or close the other tabs of this page; this one then goes on by itself.',
        remedy: 'retry',
      };
    case 'STORE_NEWER':
      return {
        title: 'Your files were kept by a newer version',
        advice: 'Reload to get the current version of this page.',
        remedy: 'reload',
      };
    case 'STORE_FAILED':
      return {
        title: 'The browser’s storage does not work',
        advice:
          'Free some space, or use a window that is not private.',
        remedy: 'retry',
      };
    case 'QUOTA_EXCEEDED':
      return {
        title: 'No room left',
        advice: 'Remove something, or allow Gyre more room.',
        remedy: 'storage',
      };
    case 'BAD_LINK':
      return {
        title: 'This link cannot be opened',
        advice: message || 'Copy the whole link again, up to its last character.',
        remedy: 'home',
      };
    case 'BAD_SITE':
      return {
        title: 'This site cannot be shown',
        advice: message || 'It is not a site that Gyre can read.',
        remedy: 'home',
      };
    case 'WRONG_KEY':
      return {
        title: 'The key in this link does not fit',
        advice: 'Ask for the whole link again.',
        remedy: 'home',
      };
    case 'NOT_FOUND':
      return {
        title: 'Nobody reachable has this file right now',
        advice: 'Ask somebody who has it to open Gyre; this page looks again every minute.',
        remedy: 'retry',
      };
    case 'ABORTED':
      return { title: 'Cancelled', advice: 'Nothing more is being fetched.', remedy: 'retry' };
    case 'NO_RELAY':
      return {
        title: 'No relay answers',
        advice: 'A relay is needed to meet others. Check your connection; this page keeps trying.',
        remedy: 'retry',
      };
    case 'CLOSED':
      return {
        title: 'The peer of this page has stopped',
        advice: 'Reload the page to start it again.',
        remedy: 'reload',
      };
    case 'NO_IDENTITY':
      return { title: 'There is no mailbox here yet', advice: 'Make one first, or bring yours back with your 24 words.', remedy: 'home' };
    case 'MAIL_EXISTS':
      return { title: 'There is a mailbox here already', advice: 'Open it with your keys.', remedy: 'home' };
    case 'INTERRUPTED':
      return {
        title: 'The tab that did this was closed',
        advice: 'One tab at a time keeps your files, and it was closed. Try again.',
        remedy: 'retry',
      };
    case 'UNSUPPORTED':
      return {
        title: 'This browser cannot take part',
        advice:
          'It has no WebRTC, IndexedDB or WebAssembly, or they are turned off. A current Firefox, Chrome, Edge or Safari has them.',
        remedy: null,
      };
    case 'BAD_NAME':
      return {
        title: 'This is not an address',
        advice: message || 'Copy the whole address again, up to its last character.',
        remedy: 'home',
      };
    case 'RECORD_MALFORMED':
      return {
        title: 'What this address leads to cannot be read',
        advice: 'Gyre goes on asking others.',
        remedy: 'retry',
      };
    case 'RECORD_TOO_LARGE':
      return {
        title: 'What this address leads to is too long',
        advice: 'A record may have 10 KiB. Its publisher has to make it shorter.',
        remedy: 'home',
      };
    case 'RECORD_BAD_SIGNATURE':
      return {
        title: 'This was not signed by its owner',
        advice: 'Gyre goes on asking others.',
        remedy: 'retry',
      };
    case 'RECORD_WRONG_NAME':
      return {
        title: 'This belongs to another address',
        advice: 'Gyre goes on asking others.',
        remedy: 'retry',
      };
    case 'RECORD_EXPIRED':
      return {
        title: 'This address has not been renewed',
        advice: 'Ask its owner to publish.',
        remedy: 'retry',
      };
    case 'RECORD_STALE':
      return {
        title: 'There is something newer already',
        advice: 'Reload to see it.',
        remedy: 'reload',
      };
    case 'RECORD_REFUSED':
      return {
        title: 'The address could not be kept anywhere',
        advice: 'Nobody reachable has room for it now.',
        remedy: 'retry',
      };
    case 'INVALID_RECORD':
      return {
        title: 'This entry could not be published',
        advice: 'Reload, then try again.',
        remedy: 'reload',
      };
    case 'DENIED':
      return {
        title: 'This is on a denylist',
        advice: 'A list that you have added says so.',
        remedy: 'lists',
      };
    case 'NO_KEYS':
      return {
        title: 'You have no keys here yet',
        advice: 'Make some, or bring yours with the 24 words.',
        remedy: null,
      };
    case 'KEYS_EXIST':
      return {
        title: 'There are keys here already',
        advice: 'Keep a copy of those first.',
        remedy: null,
      };
    case 'LOCKED':
      return {
        title: 'Your keys are locked',
        advice: 'Unlock them with your passphrase, then try again.',
        remedy: 'retry',
      };
    case 'WRONG_PASSPHRASE':
      return {
        title: 'This passphrase does not fit',
        advice: 'Type it again; upper and lower case matter.',
        remedy: 'retry',
      };
    case 'BAD_KEY_FILE':
      return {
        title: 'This is not a file of keys',
        advice: 'Choose the file that you kept when you made your keys.',
        remedy: 'retry',
      };
    case 'BAD_PHRASE':
      return {
        title: 'These words do not fit together',
        advice: 'Check each of the 24 words and their order.',
        remedy: 'retry',
      };
    case 'NOT_LOADED':
      return { title: 'Part of this page is missing', advice: 'Check the connection and try again, or reload the page.', remedy: 'retry' };
    case 'BAD_OPTIONS':
    case 'INTERNAL':
      return { title: 'Something went wrong', advice: message || 'Reload the page and try again.', remedy: 'retry' };
  }
}
