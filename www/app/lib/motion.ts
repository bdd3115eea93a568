/** Whether the person wants no motion, as their system says, and when they change their mind. */

const query = globalThis.matchMedia?.('(prefers-reduced-motion: reduce)');

/** Whether to move nothing. */
export function reducedMotion(): boolean {
  return query?.matches ?? false;
}

/** Calls `listener` when that changes; the result ends it. */
export function onMotionChange(listener: () => void): () => void {
  query?.addEventListener('change', listener);
  return () => query?.removeEventListener('change', listener);
}
