// Our peer behind the names of the js-libp2p page; README.md beside this folder says what `WasmInterop` must offer.

import init, { WasmInterop } from './gyre/gyre.js';

let node;

window.peer = {
  implementation: 'gyre',
  async start(relay) {
    await init({ module_or_path: new URL('./gyre/gyre_bg.wasm', import.meta.url) });
    node = await WasmInterop.start(relay);
    return node.peerId;
  },
  listenAddress: () => node.listenAddress(),
  dial: (address) => node.dial(address),
  connections: (peer) => node.connections(peer),
  ping: (peer) => node.ping(peer),
  echo: (peer, size) => node.echo(peer, size),
  halfCloseThenRead: (peer, size) => node.halfCloseThenRead(peer, size),
  burst: (peer, size) => node.burst(peer, size),
  streams: (peer) => node.streams(peer),
  stop: () => node.stop(),

  async openClose(peer, count, width) {
    let left = count;
    let good = 0;
    await Promise.all(Array.from({ length: width }, async () => {
      while (left-- > 0) if (await node.echo(peer, 1)) good++;
    }));
    return good;
  },
};
