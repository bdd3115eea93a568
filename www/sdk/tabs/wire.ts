/** One connection between a follower and the leader: a message port, or a broadcast channel that only these two know. */

/** Messages in order, both ways; one that was sent into the void is lost without a word. */
export interface Wire {
  /** Moves what is in `transfer` where the wire can; else it is copied. */
  post(message: object, transfer?: Transferable[]): void;
  /** Says who takes what comes. Nothing is delivered before. */
  listen(take: (message: unknown) => void): void;
  close(): void;
}

/** A wire over a message port: buffers change hands without being copied. */
export function portWire(port: MessagePort): Wire {
  return {
    post: (message, transfer = []) => port.postMessage(message, transfer),
    listen: (take) => (port.onmessage = ({ data }) => take(data)),
    close: () => port.close(),
  };
}

/**
 * A wire over a broadcast channel: works wherever there are tabs, copies what it carries.
 *
 * What is heard is taken in a task of a message port: a frozen page of Chromium hears channels, and
 * would begin what it cannot end.
 */
export function channelWire(channel: BroadcastChannel): Wire {
  const { port1, port2 } = new MessageChannel();
  const heard: unknown[] = [];
  let open = true;
  return {
    post: (message) => void (open && channel.postMessage(message)),
    listen: (take) => {
      port1.onmessage = () => take(heard.shift());
      channel.onmessage = ({ data }) => {
        heard.push(data);
        port2.postMessage(null);
      };
    },
    close: () => {
      open = false;
      channel.close();
      port1.close();
    },
  };
}

/** The bytes and what to transfer for them to be moved; a part of a larger buffer is cut out first. */
export function moved(bytes: Uint8Array): { bytes: Uint8Array; transfer: Transferable[] } {
  const own =
    bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice();
  return { bytes: own, transfer: [own.buffer as ArrayBuffer] };
}
