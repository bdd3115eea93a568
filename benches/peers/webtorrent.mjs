// WebTorrent's tracker.

/** A websocket tracker on loopback. */
export async function startTracker() {
  const { default: Server } = await import('bittorrent-tracker/server');
  const server = new Server({ udp: false, http: false, ws: true, stats: false });
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `ws://127.0.0.1:${server.ws.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
