/** The text of a mail: its own words with links, what it quotes folded away. */

import { html, nothing, type TemplateResult } from 'lit';
import { blocksOf, MAX_TEXT, spansOf } from './plain.js';

/** `links` is off for strangers: what they send is not clicked by chance. */
export function plainBody(text: string, { links = true } = {}): TemplateResult {
  const blocks = blocksOf(text);
  if (blocks.length === 0) return html`<p class="soft">This mail has no text.</p>`;
  const own = blocks.some(({ quoted }) => !quoted);
  return html`<div class="mail-text" dir="auto" data-testid="mail-text">
    ${blocks.map(({ quoted, text: part }) => (quoted && own ? html`<details class="quoted"><summary>Quoted text</summary><p>${spans(part, links)}</p></details>` : html`<p>${spans(part, links)}</p>`))}
    ${text.length > MAX_TEXT ? html`<p class="hint">It goes on. Export the conversation to read all of it.</p>` : nothing}
  </div>`;
}

function spans(text: string, links: boolean): unknown {
  return spansOf(text).map(({ text: part, href }) => (href === null || !links ? part : html`<a href=${href} target="_blank" rel="noopener noreferrer nofollow">${part}</a>`));
}
