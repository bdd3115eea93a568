/**
 * What a folder will be as a site, told before anything is imported: its first page, its title, how it answers to addresses that are no
 * file, and what its author might want to know.
 *
 * It reads the head of one page and guesses; the person decides.
 */

import { count } from './format.js';
import { leftOutWords, type Folder, type FoundFile } from './folder.js';

/** What can be said of a folder. */
export interface SitePlan {
  /** What the first page calls itself, or the folder. */
  readonly title: string;
  /** The first page, `null` if there is none at the top. */
  readonly index: string | null;
  /** Without one: folders that have a first page, those nearest to the top first. */
  readonly roots: readonly string[];
  /** The page of an application that routes by itself, if it looks like one; `null` if not. */
  readonly fallback: string | null;
  /** The page that says that there is nothing, if there is one. */
  readonly missing: string | null;
  /** Sentences to be read before it is published. */
  readonly warnings: readonly string[];
  /** Sentences that are good to know. */
  readonly notes: readonly string[];
}

/** Looks at a folder. */
export async function planOf(folder: Folder): Promise<SitePlan> {
  const paths = new Map(folder.files.map((file) => [file.path, file]));
  const index = paths.has(INDEX) ? INDEX : null;
  const html = await head(paths.get(INDEX)).catch(() => '');
  const missing = paths.has('404.html') ? '404.html' : null;
  const fallback = paths.has('200.html') ? '200.html' : index !== null && looksLikeApplication(folder, html) ? INDEX : null;
  const warnings = [...caseWarnings(folder), ...foreignWarning(html)];
  const notes = leftOutWords(folder.leftOut).map((words) => `Left out – ${words}`);
  if (paths.has('_redirects')) notes.push('_redirects is read: its rules are followed.');
  if (missing !== null) notes.push('404.html is shown where there is no such page.');
  return { title: titleOf(html) || folder.name || 'My site', index, roots: index === null ? rootsOf(folder) : [], fallback, missing, warnings, notes };
}

/** The title of a page, empty if it has none. */
export function titleOf(html: string): string {
  const found = /<title[^>]*>([^<]*)<\/title/i.exec(html)?.[1] ?? '';
  const text = found.replace(/&(#x?[0-9a-f]+|[a-z]+);/gi, (whole, name: string) => entity(name) ?? whole);
  return text.replace(/\s+/g, ' ').trim().slice(0, MAX_TITLE);
}

/** Hosts that a page takes scripts, styles, pictures or frames from. */
export function foreignHosts(html: string): string[] {
  const hosts = new Set<string>();
  const tags = html.matchAll(/<(?:script|img|iframe|video|audio|source|embed)\b[^>]*?\bsrc\s*=\s*["']?((?:https?:)?\/\/[^"'\s>]+)|<link\b(?=[^>]*\brel\s*=\s*["']?(?:stylesheet|preload|modulepreload|icon))[^>]*?\bhref\s*=\s*["']?((?:https?:)?\/\/[^"'\s>]+)/gi);
  for (const [, src, href] of tags) {
    const host = URL.parse?.(src ?? href ?? '', 'https://here.invalid')?.host;
    if (host) hosts.add(host);
  }
  return [...hosts].slice(0, MAX_HOSTS);
}

/** Paths that differ from another one in upper and lower case only: one of each group. */
export function sameButForCase(paths: Iterable<string>): string[] {
  const seen = new Map<string, boolean>();
  const clashes: string[] = [];
  for (const path of paths) {
    const key = path.toLowerCase();
    if (seen.get(key) === false) clashes.push(path);
    seen.set(key, seen.has(key));
  }
  return clashes;
}

function caseWarnings(folder: Folder): string[] {
  const clashes = sameButForCase(folder.files.map(({ path }) => path));
  if (clashes.length === 0) return [];
  const shown = clashes.slice(0, MAX_HOSTS).join(', ');
  return [`${count(clashes.length, 'path differs', 'paths differ')} from another in upper and lower case only (${shown}${clashes.length > MAX_HOSTS ? ', …' : ''}). That works here, but not on every disk.`];
}

function foreignWarning(html: string): string[] {
  const hosts = foreignHosts(html);
  if (hosts.length === 0) return [];
  return [`The first page takes something from ${hosts.join(', ')}. Readers are protected from that until they allow it: put copies of those files into the site.`];
}

/** One page, a program, and next to nothing to read: then the program decides what an address shows. */
function looksLikeApplication(folder: Folder, html: string): boolean {
  const pages = folder.files.filter(({ path }) => /\.html?$/i.test(path) && path !== '404.html');
  if (pages.length !== 1 || !/<script\b[^>]*\bsrc\s*=/i.test(html)) return false;
  const body = /<body[^>]*>([\s\S]*)/i.exec(html)?.[1] ?? '';
  const text = body.replace(/<(script|style|noscript|template)\b[\s\S]*?<\/\1>/gi, '').replace(/<[^>]*>/g, '').trim();
  return text.length < FEW_CHARACTERS;
}

/** Folders with a first page of their own, the nearest to the top and the usual ones first. */
function rootsOf(folder: Folder): string[] {
  const roots = folder.files.filter(({ path }) => path.endsWith(`/${INDEX}`)).map(({ path }) => path.slice(0, -INDEX.length - 1));
  const depth = (root: string): number => root.split('/').length;
  const rank = (root: string): number => (USUAL.indexOf(root.split('/').at(-1) ?? '') + USUAL.length + 1) % (USUAL.length + 1);
  return roots.sort((a, b) => depth(a) - depth(b) || rank(a) - rank(b) || (a < b ? -1 : 1)).slice(0, MAX_ROOTS);
}

/** The first bytes of a file as text. */
async function head(file: FoundFile | undefined): Promise<string> {
  if (!file) return '';
  const content = await file.open();
  if (content instanceof Blob) return content.slice(0, HEAD).text();
  const reader = content.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; bytes < HEAD; ) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel().catch(() => {});
  return text;
}

function entity(name: string): string | null {
  const number = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : name.startsWith('#') ? Number(name.slice(1)) : Number.NaN;
  if (Number.isInteger(number) && number > 31 && number <= 0x10ffff) return String.fromCodePoint(number);
  return ENTITIES[name.toLowerCase()] ?? null;
}

const INDEX = 'index.html';
const ENTITIES: Partial<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: '’', nbsp: ' ', ndash: '–', mdash: '—', middot: '·', copy: '©', laquo: '«', raquo: '»', hellip: '…' };
/** Where tools put what they made. */
const USUAL = ['dist', 'build', 'public', '_site', 'out', 'www', 'site', 'docs', 'html'];
/** Bytes of a page that are looked at. */
const HEAD = 64 * 1024;
const MAX_TITLE = 100;
const MAX_HOSTS = 5;
const MAX_ROOTS = 5;
/** Characters of text below which a page is the frame of a program. */
const FEW_CHARACTERS = 200;
