// Makes a real film in a page and shares it there: VP8 in WebM, with its index in front, so dense that it does not arrive at once.

/** What the film looks like: a third of it red, a third green, a third blue; which of them is on shows where the player is. */
export const film = { width: 480, height: 270, framesPerSecond: 8, seconds: 48 };

/**
 * Runs in a page that has WebCodecs and `window.gyre`; resolves with `{ link, size }`. With `site` the film is `film.webm` of a site whose
 * first page plays it, and `{ cid, size }` comes of it.
 *
 * Noise does not compress, so every second weighs about a megabyte. Three seconds are encoded, one of each colour, and repeated:
 * a second begins with a key frame and stands for itself.
 */
export async function shareFilm({ width, height, framesPerSecond, seconds, site = false }) {
  const colours = [[90, 240], [54, 34], [240, 110]];
  const noise = new Uint8Array(4 * width * height);
  for (let at = 0; at < noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));

  const second = async ([u, v]) => {
    const frames = [];
    const encoder = new VideoEncoder({
      output: (chunk) => {
        const data = new Uint8Array(chunk.byteLength);
        chunk.copyTo(data);
        frames.push({ data, key: chunk.type === 'key' });
      },
      error: (error) => { throw error; },
    });
    encoder.configure({ codec: 'vp8', width, height, framerate: framesPerSecond, bitrate: 9_000_000, latencyMode: 'quality' });
    for (let i = 0; i < framesPerSecond; i++) {
      const data = new Uint8Array(width * height * 1.5).fill(u, width * height, width * height * 1.25).fill(v, width * height * 1.25);
      const from = Math.floor(Math.random() * 3 * width * height);
      for (let p = 0; p < width * height; p++) data[p] = 90 + (noise[from + p] >> 2);
      const frame = new VideoFrame(data, { format: 'I420', codedWidth: width, codedHeight: height, timestamp: (i * 1e6) / framesPerSecond });
      encoder.encode(frame, { keyFrame: i === 0 });
      frame.close();
    }
    await encoder.flush();
    encoder.close();
    return frames;
  };
  const scenes = [];
  for (const colour of colours) scenes.push(await second(colour));

  // EBML: an element is its id, its length, its content.
  const bytes = (...parts) => new Uint8Array(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part])));
  const uint = (value, length) => Uint8Array.from({ length }, (_, i) => Math.floor(value / 2 ** (8 * (length - 1 - i))) % 256);
  const length = (value) => bytes(0x01, uint(value, 7));
  const id = (value) => uint(value, Math.ceil(Math.log2(value + 1) / 8));
  const text = (value) => new TextEncoder().encode(value);
  const float = (value) => new Uint8Array(new Float64Array([value]).buffer).reverse();
  const size = (parts) => parts.reduce((sum, part) => sum + part.byteLength, 0);
  /** Parts, not one array: a cluster is large. */
  const element = (tag, ...content) => {
    const parts = content.flat(Infinity);
    return [id(tag), length(size(parts)), ...parts];
  };

  const clusters = Array.from({ length: seconds }, (_, s) => {
    const frames = scenes[Math.floor((s * 3) / seconds)];
    return element(0x1f43b675, element(0xe7, uint(s * 1000, 4)), frames.map(({ data, key }, i) =>
      element(0xa3, bytes(0x81, uint(Math.round((i * 1000) / framesPerSecond), 2), key ? 0x80 : 0), data)));
  });
  const info = element(0x1549a966, element(0x2ad7b1, uint(1_000_000, 4)), element(0x4489, float(seconds * 1000)), element(0x4d80, text('test')), element(0x5741, text('test')));
  const tracks = element(0x1654ae6b, element(0xae, element(0xd7, uint(1, 1)), element(0x73c5, uint(1, 1)), element(0x83, uint(1, 1)), element(0x86, text('V_VP8')),
    element(0xe0, element(0xb0, uint(width, 2)), element(0xba, uint(height, 2)))));
  const index = (first) => {
    let at = first;
    return element(0x1c53bb6b, clusters.map((cluster, s) => {
      const point = element(0xbb, element(0xb3, uint(s * 1000, 4)), element(0xb7, element(0xf7, uint(1, 1)), element(0xf1, uint(at, 6))));
      at += size(cluster);
      return point;
    }));
  };
  const directory = (at) => element(0x114d9b74, [[0x1549a966, at.info], [0x1654ae6b, at.tracks], [0x1c53bb6b, at.cues]].map(([tag, place]) =>
    element(0x4dbb, element(0x53ab, id(tag)), element(0x53ac, uint(place, 6)))));
  const before = size(directory({ info: 0, tracks: 0, cues: 0 }));
  const at = { info: before, tracks: before + size(info), cues: before + size(info) + size(tracks) };
  const segment = [directory(at), info, tracks, index(at.cues + size(index(0))), clusters].flat(Infinity);
  const header = element(0x1a45dfa3, element(0x4286, uint(1, 1)), element(0x42f7, uint(1, 1)), element(0x42f2, uint(4, 1)), element(0x42f3, uint(8, 1)),
    element(0x4282, text('webm')), element(0x4287, uint(2, 1)), element(0x4285, uint(2, 1)));

  const file = new File([...header, id(0x18538067), length(size(segment)), ...segment], 'three colours.webm', { type: 'video/webm' });
  await window.gyre.setUpload(true);
  if (site) {
    const page = '<!doctype html><title>Film</title><video src="film.webm" muted playsinline width="320"></video>';
    const files = [{ path: 'index.html', content: new Blob([page]) }, { path: 'film.webm', content: file, type: 'video/webm' }];
    const { cid } = await window.gyre.publish(files);
    return { cid, size: file.size };
  }
  const { link } = await window.gyre.share(file);
  return { link, size: file.size };
}

/**
 * Runs in a page: from now on all its data channels together send `window.uplink.rate` bytes a second, as over a slow line, and
 * once `window.uplink.allowance` bytes are sent only a trickle that keeps links alive: a test can so say how much of a file may
 * arrive, however slow the machine is. `Infinity` lifts either.
 */
export function slowUplink(rate, allowance) {
  const channel = RTCDataChannel.prototype;
  const { send } = channel;
  const amount = Object.getOwnPropertyDescriptor(channel, 'bufferedAmount').get;
  const queues = new Map();
  const TICK_MS = 25;
  const TRICKLE = 64_000;
  window.uplink = { rate: rate ?? Infinity, allowance: allowance ?? Infinity };
  channel.send = function (data) {
    if (!queues.has(this)) queues.set(this, { parts: [], bytes: 0 });
    const queue = queues.get(this);
    // A view of the WebAssembly memory would have changed by then.
    const part = typeof data === 'string' ? data : new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength).slice();
    queue.parts.push(part);
    queue.bytes += part.byteLength ?? part.length;
  };
  Object.defineProperty(channel, 'bufferedAmount', { configurable: true, get() { return amount.call(this) + (queues.get(this)?.bytes ?? 0); } });
  let credit = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    const pace = window.uplink.allowance > 0 ? window.uplink.rate : TRICKLE;
    credit = Math.min(credit + (pace * (now - last)) / 1000, Math.max(pace / 5, 65_536));
    last = now;
    for (const [open, queue] of queues) {
      if (open.readyState !== 'open') {
        queues.delete(open);
        continue;
      }
      const high = open.bufferedAmount > open.bufferedAmountLowThreshold;
      while (queue.parts.length > 0 && credit > 0 && amount.call(open) < 1_000_000) {
        const part = queue.parts.shift();
        const weight = part.byteLength ?? part.length;
        queue.bytes -= weight;
        credit -= weight;
        window.uplink.allowance -= weight;
        send.call(open, part);
      }
      if (high && open.bufferedAmount <= open.bufferedAmountLowThreshold) open.dispatchEvent(new Event('bufferedamountlow'));
    }
  }, TICK_MS);
}

/** Runs in a page, on a video: the colour it shows now, `null` while it shows nothing. */
export function colourOf(video) {
  if (video.readyState < 2 || video.seeking) return null;
  const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 8, 8);
  const sums = [0, 0, 0];
  context.getImageData(0, 0, 8, 8).data.forEach((value, i) => { if (i % 4 < 3) sums[i % 4] += value; });
  return ['red', 'green', 'blue'][sums.indexOf(Math.max(...sums))];
}
