/** Plain text of a mail as paragraphs with links, and quoted parts apart, so that they can be folded. */

/** A stretch of text, or of a link that was written out. */
export interface Span {
  readonly text: string;
  /** Where it leads; only `http` and `https`. */
  readonly href: string | null;
}

/** Lines that belong together: one's own words, or what they quote. */
export interface Block {
  readonly quoted: boolean;
  readonly text: string;
}

/** Cuts a text into its own words and what it quotes. A line that introduces a quotation goes with it. */
export function blocksOf(text: string): Block[] {
  const blocks: { quoted: boolean; lines: string[] }[] = [];
  for (const line of text.slice(0, MAX_TEXT).replace(/\r\n?/g, '\n').split('\n')) {
    const quoted = /^\s{0,3}>/.test(line);
    const last = blocks.at(-1);
    if (last?.quoted === quoted) last.lines.push(line);
    else if (quoted && last) {
      const lines = [line];
      const intro = introduction(last.lines);
      if (intro > 0) lines.unshift(...last.lines.splice(-intro));
      blocks.push({ quoted, lines });
    } else blocks.push({ quoted, lines: [line] });
  }
  return blocks.map(({ quoted, lines }) => ({ quoted, text: lines.join('\n').replace(/^\n+|\s+$/g, '') })).filter((block) => block.text !== '');
}

/** The links in a text. */
export function spansOf(text: string): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"']+/gi)) {
    const href = trimmed(found[0]);
    if (!URL.canParse(href)) continue;
    if (found.index > at) spans.push({ text: text.slice(at, found.index), href: null });
    spans.push({ text: href, href });
    at = found.index + href.length;
  }
  if (at < text.length) spans.push({ text: text.slice(at), href: null });
  return spans;
}

/** The punctuation after a link belongs to the sentence; a closing bracket to the link only if it was opened in it. */
function trimmed(link: string): string {
  let end = link.replace(/[.,;:!?…'"”’»]+$/u, '');
  while (end.endsWith(')') && !end.includes('(')) end = end.slice(0, -1).replace(/[.,;:!?]+$/, '');
  return end;
}

/** How many of the last lines announce what is quoted: `On … Ada wrote:`. */
function introduction(lines: readonly string[]): number {
  let blank = 0;
  while (blank < lines.length && lines[lines.length - 1 - blank]?.trim() === '') blank += 1;
  const last = lines[lines.length - 1 - blank]?.trim() ?? '';
  return last.endsWith(':') && last.length < MAX_INTRODUCTION && /\d/.test(last) ? blank + 1 : 0;
}

/** Characters shown of one text; a page of more would stand still. The whole is in an export. */
export const MAX_TEXT = 1_000_000;
/** Characters of a line that announces a quotation. */
const MAX_INTRODUCTION = 300;
