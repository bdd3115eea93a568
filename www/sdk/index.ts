/**
 * Gyre: a peer in the page. Content-addressed files, browser to browser.
 *
 * @example
 * ```ts
 * import { Gyre } from 'gyre';
 * const gyre = await Gyre.join();
 * const { link } = await gyre.share(new Blob(['hello']), { name: 'hello.txt' });
 * const file = await gyre.open(link);
 * console.log(file.name, await (await file.blob()).text());
 * ```
 *
 * @packageDocumentation
 */

export { ERROR_CODES, GyreError, isErrorCode, type ErrorCode } from './errors.js';
export { GyreFile } from './file.js';
export { Gyre } from './gyre.js';
export { FileServer, type FileServerOptions } from './stream.js';
export { Keys } from './keys.js';
export { formatLink, formatSiteLink, parseLink, parseSiteLink, type FileLink, type SiteLink } from './link.js';
export type {
  Contact,
  Device,
  Draft,
  Folder,
  FoundThreads,
  IdentityStep,
  NamedSite,
  Mail,
  MailAttachment,
  Mailbox,
  MailboxEventMap,
  MailSettings,
  MailState,
  MailWork,
  Person,
  PlainFolder,
  Recovered,
  SendStatus,
  ThreadPage,
  ThreadSummary,
} from './mail/types.js';
export type { SiteFiles } from './publish.js';
export { Site } from './site.js';
export { siteResponse } from './site-response.js';
export type {
  DenylistInfo,
  FileEntry,
  HeldSite,
  KeeperWord,
  KeepProgress,
  KeyLock,
  KeyState,
  PublishOptions,
  PublishProgress,
  SiteAnswer,
  SiteChange,
  SiteEventMap,
  SiteFileInfo,
  SiteOwner,
  SiteHead,
  SiteInfo,
  SiteVersion,
  SiteVersionInfo,
  SkippedLine,
} from './site-types.js';
export type { ShareSource } from './source.js';
export type {
  ByteRange,
  ChartPeer,
  GyreEventMap,
  JoinOptions,
  Limits,
  OpenOptions,
  PeerInfo,
  PeerVia,
  Progress,
  RelayInfo,
  ServerInfo,
  Share,
  ShareOptions,
  Stats,
  Surroundings,
  SwarmChart,
  SwarmInfo,
  SwarmState,
} from './types.js';
