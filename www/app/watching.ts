/** Makes an element render again when something that it shows has changed. */

import type { ReactiveControllerHost } from 'lit';

/** Follows the `change` events of these while the element is in the page. */
export function watch(host: ReactiveControllerHost, ...targets: readonly EventTarget[]): void {
  const update = (): void => host.requestUpdate();
  host.addController({
    hostConnected() {
      for (const target of targets) target.addEventListener('change', update);
    },
    hostDisconnected() {
      for (const target of targets) target.removeEventListener('change', update);
    },
  });
}
