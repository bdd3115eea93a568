/**
 * What may be shown inside the page.
 *
 * The media type comes from whoever shared the file, so this is a list of what is allowed, never
 * of what is forbidden: nothing that can carry a script is ever opened as a document.
 */

/** How a file is shown. */
export type Preview = 'image' | 'vector' | 'video' | 'audio' | 'pdf' | 'text' | null;

/**
 * Decides by media type and size in bytes; `null` means: not shown, only saved. What can be `streamed` is not held in
 * memory as a whole and may be of any size, if the element that shows it reads only what it needs.
 */
export function previewKind(type: string, size: number, streamed = false): Preview {
  const essence = (type.split(';')[0] ?? '').trim().toLowerCase();
  const kind = BY_TYPE[essence] ?? (TEXT.test(essence) ? 'text' : null);
  if (kind === null || size === 0) return null;
  return size <= LIMITS[kind] || (streamed && STREAMED.has(kind)) ? kind : null;
}

const BY_TYPE: Readonly<Record<string, NonNullable<Preview> | undefined>> = {
  'image/png': 'image',
  'image/jpeg': 'image',
  'image/gif': 'image',
  'image/webp': 'image',
  'image/avif': 'image',
  'image/bmp': 'image',
  'image/svg+xml': 'vector',
  'video/mp4': 'video',
  'video/webm': 'video',
  'video/ogg': 'video',
  'audio/mpeg': 'audio',
  'audio/mp4': 'audio',
  'audio/ogg': 'audio',
  'audio/wav': 'audio',
  'audio/webm': 'audio',
  'audio/flac': 'audio',
  'application/pdf': 'pdf',
};
/** Shown as text, markup included. */
const TEXT = /^(text\/[a-z0-9.+-]+|application\/(json|xml|toml|yaml|javascript))$/;
const MB = 1_000_000;
/** Shown by elements that read as far as a person looks. */
const STREAMED: ReadonlySet<Preview> = new Set(['video', 'audio', 'pdf']);
/** Bytes; other previews are held in memory as a whole. */
const LIMITS: Readonly<Record<NonNullable<Preview>, number>> = {
  image: 50 * MB,
  vector: 1 * MB,
  video: 300 * MB,
  audio: 100 * MB,
  pdf: 50 * MB,
  text: 1 * MB,
};
