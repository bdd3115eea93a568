/** What an enclosure is: a blob in the swarm, and what opens it. */
export interface MailEnclosure { hash: string; key: Uint8Array; size: number; name: string; type: string }
export interface MailSealed { chunks: Uint8Array[]; enclosure: MailEnclosure; sealedSize: number }
export interface MailDraft { to: string[]; thread?: string; inReplyTo?: string; mime?: Uint8Array; body?: MailEnclosure; enclosures: MailEnclosure[] }
export type MailInput =
  | { kind: 'tick' } | { kind: 'online' }
  | { kind: 'nearest'; tag: Uint8Array; peers: Uint8Array }
  | { kind: 'answer'; peer: Uint8Array; message?: Uint8Array }
  | { kind: 'records'; key: Uint8Array; values: Uint8Array[] }
  | { kind: 'put'; key: Uint8Array; holders: number }
  | { kind: 'relays'; peers: Uint8Array }
  | { kind: 'stamped'; job: string; nonce: bigint }
  | { kind: 'random'; bytes: Uint8Array }
  | { kind: 'send'; draft: MailDraft; token: string }
  | { kind: 'cancel' | 'retry' | 'stored' | 'read' | 'remove'; message: string }
  | { kind: 'contact'; id: string; petname?: string; state: 'accepted' | 'blocked' | 'muted' | 'forgotten'; card?: string }
  | { kind: 'policy'; stampBits: number; readReceipts: boolean; open: boolean; mailboxRelays: Uint8Array }
  | { kind: 'removeDevice'; key: string }
  | { kind: 'sync'; data: Uint8Array };
export type MailSendState = 'waiting' | 'looking' | 'uploading' | 'stamping' | 'stored' | 'delivered' | 'read' | 'expired' | 'refused';
export interface MailContact { id: string; state: 'accepted' | 'request' | 'blocked' | 'muted' | 'forgotten'; name?: string; petname?: string; since: number; forked: boolean; ended: boolean; safety: string }
export interface MailStep { act: 'begin' | 'rotate' | 'recover' | 'add' | 'remove' | 'mail' | 'site' | 'end'; time: number }
export interface MailOutgoing { message: string; thread: string; timeMs: number; to: { id: string; state: MailSendState; peers: number; relays: number; progress?: number; why?: string }[] }
export type MailOutput =
  | { do: 'nearest'; tag: Uint8Array }
  | { do: 'open'; peer: Uint8Array }
  | { do: 'ask'; peer: Uint8Array; message: Uint8Array }
  | { do: 'get'; key: Uint8Array }
  | { do: 'put'; key: Uint8Array; value: Uint8Array }
  | { do: 'save'; key: string; value?: Uint8Array }
  | { do: 'wake'; atMs: number }
  | { do: 'stamp'; job: string; message: string; to: string; paid: number; of: number; prefix: Uint8Array; bits: number } | { do: 'unstamp'; job: string }
  | { do: 'keep'; blob: string; size: number }
  | { do: 'letter'; message: string; thread: string; from: string; device: string; to: string[]; timeMs: number; mime?: Uint8Array; body?: MailEnclosure;
      enclosures: MailEnclosure[]; request: boolean; own: boolean; muted: boolean; origin?: string }
  | { do: 'status'; message: string; to: string; state: MailSendState; peers: number; relays: number; why?: string }
  | { do: 'sent'; token: string; message: string; thread: string }
  | { do: 'failed'; token: string; code: string }
  | ({ do: 'contact' } & MailContact)
  | { do: 'identity'; state: 'none' | 'looking' | 'ready' | 'forked' | 'lost' | 'removed' | 'ended'; onPaper: boolean; devices: { key: string; me: boolean; since: number; seen: number }[]; forks: number; name: string }
  | { do: 'sync'; data: Uint8Array; device: string }
  | { do: 'gone'; message: string }
  | { do: 'refused'; why: string };
export interface MailCard { id: string; name: string; hints: string[] }
export interface MimePerson { name: string; address: string }
export interface MimeDraft { from: MimePerson; to: MimePerson[]; cc?: MimePerson[]; subject: string; text: string; html?: string; messageId: string; inReplyTo?: string;
  references?: string[]; dateMs: number; parts?: { name: string; type: string; content: Uint8Array }[] }
export interface MimeMail { subject: string; from: MimePerson[]; to: MimePerson[]; cc: MimePerson[]; dateMs: number | null; messageId: string | null; inReplyTo: string[];
  references: string[]; text: string; html: string | null; attachments: { name: string; type: string; size: number; contentId: string | null; index: number }[] }
