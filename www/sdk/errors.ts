/** The one error type of the package: a stable `code` for programs, a sentence for people. */

/** Every code a {@link GyreError} can carry. Codes are added, never renamed. */
export const ERROR_CODES = [
  'STORE_BUSY',
  'STORE_NEWER',
  'STORE_FAILED',
  'QUOTA_EXCEEDED',
  'BAD_LINK',
  'BAD_SITE',
  'WRONG_KEY',
  'NOT_FOUND',
  'ABORTED',
  'NO_RELAY',
  'CLOSED',
  'INTERRUPTED',
  'BAD_OPTIONS',
  'UNSUPPORTED',
  'BAD_NAME',
  'RECORD_MALFORMED',
  'RECORD_TOO_LARGE',
  'RECORD_BAD_SIGNATURE',
  'RECORD_WRONG_NAME',
  'RECORD_EXPIRED',
  'RECORD_STALE',
  'RECORD_REFUSED',
  'NO_KEYS',
  'KEYS_EXIST',
  'LOCKED',
  'WRONG_PASSPHRASE',
  'BAD_KEY_FILE',
  'BAD_PHRASE',
  'INVALID_RECORD',
  'DENIED',
  'NO_IDENTITY',
  'MAIL_EXISTS',
  'NOT_LOADED',
  'INTERNAL',
] as const;

/** Stable name of what went wrong; docs/sdk.md says what to do about each. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Whatever a call of this package rejects with. */
export class GyreError extends Error {
  override readonly name = 'GyreError';
  readonly code: ErrorCode;
  /** The blob it is about, where there is one. */
  readonly cid: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; cid?: string | undefined } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.cid = options.cid;
  }

  /** Turns whatever was thrown into a `GyreError`, keeping the original as `cause`. */
  static from(thrown: unknown, fallback: ErrorCode = 'INTERNAL'): GyreError {
    if (thrown instanceof GyreError) return thrown;
    const { code, name, message } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as Partial<
      Record<'code' | 'name' | 'message', unknown>
    >;
    const text = typeof message === 'string' && message !== '' ? message : String(thrown);
    if (isErrorCode(code)) return new GyreError(code, text, { cause: thrown });
    if (name === 'AbortError') return new GyreError('ABORTED', 'Cancelled.', { cause: thrown });
    return new GyreError(fallback, text, { cause: thrown });
  }
}

/** Whether `code` is one of {@link ERROR_CODES}. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(code);
}

/** Runs `work` and lets nothing but `GyreError` out. @internal */
export async function guarded<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw GyreError.from(thrown);
  }
}

/** Throws `ABORTED` if `signal` has fired. @internal */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new GyreError('ABORTED', 'Cancelled.', { cause: signal.reason });
}

/** Settles as `promise` does, or rejects with `ABORTED` as soon as `signal` fires. @internal */
export function raced<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new GyreError('ABORTED', 'Cancelled.', { cause: signal.reason }));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
