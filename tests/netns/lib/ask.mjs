// Run inside a home network: asks both public addresses from one port and prints all that comes back.
import { createSocket } from 'node:dgram';

const [first, second, port] = process.argv.slice(2);
const socket = createSocket('udp4');
const heard = [];
socket.on('message', (message) => heard.push(JSON.parse(message)));
await new Promise((resolve) => socket.bind(Number(port), resolve));
// The first only: what comes from the second address uninvited is a stranger's. Again, because a busy machine may be slow.
for (let round = 0; round < 3; round++) {
  socket.send('?', 9000, first);
  await new Promise((resolve) => setTimeout(resolve, 400));
}
const uninvited = heard.splice(0);
for (let round = 0; round < 3; round++) {
  socket.send('?', 9000, second);
  await new Promise((resolve) => setTimeout(resolve, 400));
}
const ports = (list) => [...new Set(list.filter(({ from }) => from === 'asked').map((answer) => answer.port))];
console.log(JSON.stringify({ from: [...new Set(uninvited.map(({ from }) => from))].sort(), first: ports(uninvited), second: ports(heard) }));
socket.close();
