/** Asks before something that cannot be undone. */

import { html, render } from 'lit';

/** Shows a modal question; resolves with whether the person agreed. */
export function confirmDialog(question: { title: string; text: string; action: string }): Promise<boolean> {
  const dialog = document.createElement('dialog');
  dialog.className = 'dialog dialog-small';
  dialog.setAttribute('aria-labelledby', 'confirm-title');
  render(
    html`<form method="dialog">
      <h2 id="confirm-title">${question.title}</h2>
      <p>${question.text}</p>
      <div class="row row-end">
        <button class="button quiet" value="no" autofocus>Keep it</button>
        <button class="button danger" value="yes" data-testid="confirm-yes">${question.action}</button>
      </div>
    </form>`,
    dialog,
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
  });
}
