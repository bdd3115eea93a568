/** The shape of the generated mail module; see ../mail/module.ts. */

import type { MailModule } from '../mail/module.js';

export default function init(input: { module_or_path: URL | string | Response | Promise<Response> }): Promise<unknown>;

export const Post: MailModule['Post'];
export const EnclosureSealer: MailModule['EnclosureSealer'];
export const EnclosureOpener: MailModule['EnclosureOpener'];
export const Mime: MailModule['Mime'];
export const MboxReader: MailModule['MboxReader'];
export const mboxEntry: MailModule['mboxEntry'];
export const StampSearch: MailModule['StampSearch'];
export const readCard: MailModule['readCard'];
export const safety: MailModule['safety'];
export const wordsOf: MailModule['wordsOf'];
