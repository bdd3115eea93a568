// The yardstick: plain RTCDataChannels and plain IndexedDB, driven from outside, nothing of ours in between.
// Signalling goes through the functions that the driver calls, so the pair sits in the same arrangement as ours.

const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;

const end = () => ({
  peer: null,
  channel: null,
  candidates: [],
  opened: null,

  create(offerer) {
    const peer = (this.peer = new RTCPeerConnection({ iceServers: [] }));
    peer.onicecandidate = (event) => event.candidate?.candidate && this.candidates.push(event.candidate.toJSON());
    this.opened = new Promise((resolve, reject) => {
      peer.onconnectionstatechange = () => peer.connectionState === 'failed' && reject(new Error('ICE failed'));
      const take = (channel) => {
        this.channel = channel;
        channel.binaryType = 'arraybuffer';
        this.receive(channel);
        if (channel.readyState === 'open') resolve();
        channel.onopen = () => resolve();
      };
      if (offerer) take(peer.createDataChannel('raw'));
      else peer.ondatachannel = (event) => take(event.channel);
    });
    this.opened.catch(() => {});
  },
  async offer() {
    await this.peer.setLocalDescription(await this.peer.createOffer());
    return this.peer.localDescription.sdp;
  },
  async answer(sdp) {
    await this.peer.setRemoteDescription({ type: 'offer', sdp });
    await this.peer.setLocalDescription(await this.peer.createAnswer());
    return this.peer.localDescription.sdp;
  },
  async accept(sdp) {
    await this.peer.setRemoteDescription({ type: 'answer', sdp });
  },
  async addCandidates(list) {
    for (const candidate of list) await this.peer.addIceCandidate(candidate);
  },
  takeCandidates() {
    return this.candidates.splice(0);
  },

  received: 0,
  expected: Infinity,
  done: null,
  receive(channel) {
    channel.onmessage = (event) => {
      if (this.received === 0) this.firstAt = performance.now();
      this.received += event.data.byteLength;
      if (this.received >= this.expected) this.done(performance.now() - this.firstAt);
    };
  },
  /** Resolves with the milliseconds from the first message to the last. */
  expect(bytes) {
    this.received = 0;
    this.expected = bytes;
    this.finished = new Promise((resolve) => (this.done = resolve));
  },
  async send(bytes, message) {
    const channel = this.channel;
    const buffer = new Uint8Array(message);
    for (let at = 0; at < buffer.length; at += 65536) crypto.getRandomValues(buffer.subarray(at, Math.min(at + 65536, buffer.length)));
    channel.bufferedAmountLowThreshold = LOW_WATER;
    let wake = null;
    channel.onbufferedamountlow = () => wake?.();
    for (let sent = 0; sent < bytes; sent += message) {
      if (channel.bufferedAmount > HIGH_WATER) await new Promise((resolve) => (wake = resolve));
      channel.send(message === buffer.length && sent + message <= bytes ? buffer : buffer.subarray(0, bytes - sent));
    }
  },
  close() {
    this.peer?.close();
    this.peer = this.channel = null;
    this.candidates = [];
  },

  /** Writes `bytes` of random data in values of `value` bytes, `batch` of them a transaction; resolves with MB/s in and out. */
  async store(bytes, value, batch) {
    const name = `raw-${Math.random()}`;
    const db = await promise(Object.assign(indexedDB.open(name, 1), { onupgradeneeded: (event) => event.target.result.createObjectStore('v') }));
    const random = new Uint8Array(value);
    for (let at = 0; at < value; at += 65536) crypto.getRandomValues(random.subarray(at, Math.min(at + 65536, value)));
    const count = Math.ceil(bytes / value);
    const began = performance.now();
    for (let first = 0; first < count; first += batch) {
      const transaction = db.transaction('v', 'readwrite');
      const store = transaction.objectStore('v');
      for (let i = first; i < Math.min(first + batch, count); i++) {
        // Values that are equal could be stored cheaply.
        new DataView(random.buffer).setUint32(0, i);
        store.put(random.slice(), i);
      }
      await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onerror: () => reject(transaction.error), onabort: () => reject(transaction.error) }));
    }
    const wrote = performance.now();
    let read = 0;
    for (let i = 0; i < count; i++) read += (await promise(db.transaction('v').objectStore('v').get(i))).byteLength;
    const finished = performance.now();
    db.close();
    await promise(indexedDB.deleteDatabase(name));
    return { write: bytes / 1e3 / (wrote - began), read: read / 1e3 / (finished - wrote) };
  },
});

/** One end of a link; `onward` is a second one, for a page that passes on what others send it. */
window.raw = end();
window.onward = end();

function promise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
document.title = 'ready';
