// Run inside the public network: tells senders their address, and answers them from another port and from another address.
import { createSocket } from 'node:dgram';

const [own, other] = process.argv.slice(2);
const open = async (address, port) => {
  const socket = createSocket('udp4');
  await new Promise((resolve) => socket.bind(port, address, resolve));
  return socket;
};
const [otherPort, stranger] = [await open(own, 9001), await open(other, 9001)];
for (const address of [own, other]) {
  const socket = await open(address, 9000);
  socket.on('message', (_, from) => {
    socket.send(JSON.stringify({ from: 'asked', port: from.port }), from.port, from.address);
    if (address !== own) return;
    otherPort.send(JSON.stringify({ from: 'other port' }), from.port, from.address);
    stranger.send(JSON.stringify({ from: 'stranger' }), from.port, from.address);
  });
}
console.log('ready');
