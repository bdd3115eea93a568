/** What a site's frame shows where there is no page of the site: a sentence, and a way on. */

/** A page with a heading, a sentence and one link; `mark` tells it from pages of the site. */
export function notice(heading: string, sentence: string, link: { href: string; words: string } | null): string {
  const way = link ? `<p><a href="${escaped(link.href)}">${escaped(link.words)}</a></p>` : '';
  return `<!doctype html>
<html lang="en" data-gyre="notice">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escaped(heading)}</title>
<style>
:root { color-scheme: light dark; background: light-dark(#f4f1e8, #0d1518); color: light-dark(#14252b, #e6ece8) }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem }
a { color: light-dark(#0c6468, #63ccc0) }
</style>
<h1>${escaped(heading)}</h1>
<p>${escaped(sentence)}</p>
${way}
</html>
`;
}

/** What is said for a code of `sdk/errors.ts`, or of the worker's own. */
export function wordsFor(code: string, message: string): { status: number; heading: string; sentence: string } {
  switch (code) {
    case NO_PAGE:
      return { status: 503, heading: 'Gyre is not open here', sentence: 'A site comes from other people’s browsers, through a tab of Gyre. Open it there.' };
    case 'NOT_FOUND':
    case 'NO_RELAY':
      return { status: 504, heading: 'Nobody reachable has this page right now', sentence: 'It comes from other people’s browsers. Ask somebody who has it to open Gyre, or try again later.' };
    case 'QUOTA_EXCEEDED':
      return { status: 507, heading: 'No room left', sentence: 'The storage set aside for Gyre is full. Remove something, or allow it more room.' };
    case 'DENIED':
      return { status: 403, heading: 'This is on a denylist', sentence: 'A list that was added in the settings of Gyre says that this is not to be opened here. Others may open it.' };
    case 'CLOSED':
    case 'ABORTED':
    case 'INTERRUPTED':
      return { status: 503, heading: 'This was interrupted', sentence: 'Load it again.' };
    default:
      return { status: 500, heading: 'This page could not be read', sentence: message };
  }
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Code for a request that nobody answers. */
export const NO_PAGE = 'NO_PAGE';
