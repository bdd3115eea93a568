/**
 * The document in which an HTML mail is shown.
 *
 * It stands in a sandbox without scripts and without this page's origin, under a policy that loads nothing at all: what is shown is
 * in the document itself. The sanitiser comes before it, and neither relies on the other.
 */

/** What the frame may do: a link that is clicked opens a tab, which is no part of the sandbox. Nothing else; above all no `allow-scripts` and no `allow-same-origin`. */
export const SANDBOX = 'allow-popups allow-popups-to-escape-sandbox';

/** What the document may load: styles written in it, pictures written in it. */
export const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src 'none'; script-src 'none'; connect-src 'none'; frame-src 'none'; object-src 'none'; form-action 'none'; base-uri 'none'";

/** How it looks: `theme` where the mail has no colours of its own, else as it was made, on white. */
export interface Look {
  readonly dark: boolean;
  readonly ownColours: boolean;
}

/** The whole document around what was sanitised. */
export function paper(sanitised: string, { dark, ownColours }: Look): string {
  const scheme = dark && !ownColours ? 'dark' : 'light';
  // The policy stands first: it holds for what comes after it.
  return `<!doctype html><html lang="und"><head><meta http-equiv="Content-Security-Policy" content="${POLICY}"><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="x-dns-prefetch-control" content="off"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="${scheme}"><style>${STYLE}${COLOURS[scheme]}${ownColours ? 'body{padding:12px}' : ''}</style></head><body>${sanitised}</body></html>`;
}

const STYLE =
  'html{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;overflow-wrap:anywhere}body{margin:0}img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}blockquote{margin:0 0 0 .25em;padding-left:.75em;border-left:3px solid #8d8a7c}';
const COLOURS = {
  light: 'html{color-scheme:light;background:#fffdf7;color:#14252b}a{color:#0c6468}',
  dark: 'html{color-scheme:dark;background:#142024;color:#e6ece8}a{color:#63ccc0}',
} as const;
