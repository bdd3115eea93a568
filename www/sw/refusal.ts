/** What a request gets that no page answers: a status, a stable code, and a sentence for whoever looks at it. */

/** An answer without a file. `Gyre-Error` carries the code; a person who opened the address sees a page. */
export function refusal(request: Pick<Request, 'mode'>, code: string, message: string): Response {
  const shown = request.mode === 'navigate';
  const text = shown ? page(message) : `${message}\n`;
  return new Response(text, {
    status: STATUS[code] ?? 500,
    headers: {
      'Content-Type': `${shown ? 'text/html' : 'text/plain'}; charset=utf-8`,
      'Content-Security-Policy': "sandbox; default-src 'none'; style-src 'unsafe-inline'",
      'Cache-Control': 'no-store',
      'Gyre-Error': /^[A-Z_]{1,40}$/.test(code) ? code : 'INTERNAL',
      'X-Content-Type-Options': 'nosniff',
    },
  });
}

function page(message: string): string {
  const safe = message.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>File not available</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem }</style>
<h1>This file is not available</h1>
<p>${safe}</p>
</html>
`;
}

/** Statuses by code; docs/streaming.md has the table. */
const STATUS: Readonly<Record<string, number>> = {
  BAD_ADDRESS: 400,
  NOT_ALLOWED: 403,
  NOT_OPEN: 404,
  CLOSED: 410,
  ABORTED: 503,
  NO_PAGE: 503,
  NO_RELAY: 504,
  NOT_FOUND: 504,
  QUOTA_EXCEEDED: 507,
};
