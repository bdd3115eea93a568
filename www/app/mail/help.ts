/** The list of keys. */

import { html, render } from 'lit';
import { SHORTCUT_HELP } from './shortcuts.js';

/** Shows it until it is closed. */
export function showHelp(): void {
  if (document.querySelector('dialog[open]')) return;
  const dialog = document.createElement('dialog');
  dialog.className = 'dialog';
  dialog.setAttribute('aria-labelledby', 'help-title');
  dialog.dataset.testid = 'mail-help';
  render(
    html`<form method="dialog" class="dialog-body"><header class="section-head"><h2 id="help-title">Keys</h2><button class="button quiet" autofocus>Close</button></header>
      <dl class="facts key-list">${SHORTCUT_HELP.map(({ keys, does }) => html`<div><dt>${does}</dt><dd>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dd></div>`)}</dl>
      <p class="hint">They can be turned off in the mail settings.</p></form>`,
    dialog,
  );
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
}
