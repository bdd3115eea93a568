// Networks made of namespaces: a public one with the relay in it, home networks behind a NAT each, browsers in these.
//
// Nothing here touches the machine's own network: every device is made inside a namespace, and a namespace that goes takes its
// devices along. The kernel routes, tracks and rewrites; nft rules say how each NAT behaves.

import { spawnSync } from 'node:child_process';

/** The public network (RFC 5737): the relay is .1, the NATs follow. */
const PUBLIC = '203.0.113';
export const relayAddress = `${PUBLIC}.1`;

/**
 * What each NAT does, in the words of RFC 4787.
 *
 * * `address`: keeps the port, one mapping for all destinations, lets in any port of an address that was sent to.
 * * `port`: keeps the port, lets in only the very address and port that was sent to.
 * * `symmetric`: another random port for each destination, lets in only that destination.
 */
export const nats = ['address', 'port', 'symmetric'];

/** Why namespaces cannot be made here, or null. */
export function obstacle() {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid() !== 0) return 'making network namespaces needs root';
  for (const tool of ['ip', 'nft', 'tc']) {
    if (spawnSync(tool, ['-V']).error) return `${tool} is not installed (on Debian: apt-get install iproute2 nftables)`;
  }
  const name = `gyre-${process.pid}-probe`;
  try {
    command('ip', 'netns', 'add', name);
    command('ip', '-n', name, 'link', 'add', 'name', 'one', 'type', 'veth', 'peer', 'name', 'other');
    rules(name, natRules('address'));
    rules(name, natRules('symmetric'));
    return null;
  } catch (error) {
    return `this kernel does not let namespaces and NAT be made: ${error.message.split('\n')[0]}`;
  } finally {
    spawnSync('ip', ['netns', 'delete', name]);
  }
}

/** All that one test makes. */
export class Internet {
  static #made = 0;
  #prefix = `gyre-${process.pid}-${Internet.#made++}-`;
  #spaces = [];
  #homes = 0;

  constructor() {
    this.space = this.#add('public');
    bridge(this.space, 'wire', `${relayAddress}/24`);
  }

  /** Another public address besides the relay's. */
  secondAddress() {
    const address = `${PUBLIC}.2`;
    command('ip', '-n', this.space, 'address', 'add', `${address}/24`, 'dev', 'wire');
    return address;
  }

  /** A home network behind a NAT of this kind. */
  home(kind) {
    const number = ++this.#homes;
    const space = this.#add(`nat${number}`);
    const [inside, outside] = [`10.0.${number}`, `${PUBLIC}.${10 + number}`];
    command('ip', '-n', this.space, 'link', 'add', 'name', `to${number}`, 'type', 'veth', 'peer', 'name', 'wan', 'netns', space);
    command('ip', '-n', this.space, 'link', 'set', `to${number}`, 'master', 'wire', 'up');
    command('ip', '-n', space, 'address', 'add', `${outside}/24`, 'dev', 'wan');
    command('ip', '-n', space, 'link', 'set', 'wan', 'up');
    bridge(space, 'lan', `${inside}.1/24`);
    command('ip', 'netns', 'exec', space, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    // What two machines of one home say to each other crosses a switch, and no router's rules.
    command('ip', 'netns', 'exec', space, 'sysctl', '-q', '-e', '-w', 'net.bridge.bridge-nf-call-iptables=0');
    rules(space, natRules(kind));
    return new Home(space, inside, outside);
  }

  /** A machine in a home network. */
  machine(home) {
    const space = this.#add(`host${this.#spaces.length}`);
    const machine = new Machine(space);
    machine.join(home);
    return machine;
  }

  #add(name) {
    const space = this.#prefix + name;
    command('ip', 'netns', 'add', space);
    this.#spaces.push(space);
    command('ip', '-n', space, 'link', 'set', 'lo', 'up');
    return space;
  }

  close() {
    for (const space of this.#spaces.reverse()) spawnSync('ip', ['netns', 'delete', space]);
  }
}

class Home {
  #machines = 0;

  constructor(space, inside, outside) {
    Object.assign(this, { space, inside, outside });
  }

  next() {
    return { port: `host${++this.#machines}`, address: `${this.inside}.${1 + this.#machines}` };
  }

  /** Slows down what leaves this network, to a rate as tc writes it. */
  limit(rate) {
    command('tc', '-n', this.space, 'qdisc', 'add', 'dev', 'wan', 'root', 'tbf', 'rate', rate, 'burst', '32kb', 'latency', '100ms');
  }

  /** UDP bytes that this NAT has passed between its network and any public address but the relay's. */
  media() {
    const listed = JSON.parse(command('ip', 'netns', 'exec', this.space, 'nft', '-j', 'list', 'counters')).nftables;
    return listed.flatMap(({ counter }) => counter ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

class Machine {
  #made = 0;

  constructor(space) {
    this.space = space;
  }

  /** Plugs the machine into a home network with a new device; whatever it was plugged into is gone, as when a laptop moves. */
  join(home) {
    const { port, address } = home.next();
    const device = `eth${this.#made++}`;
    if (this.device) command('ip', '-n', this.space, 'link', 'delete', this.device);
    command('ip', '-n', home.space, 'link', 'add', 'name', port, 'type', 'veth', 'peer', 'name', device, 'netns', this.space);
    command('ip', '-n', home.space, 'link', 'set', port, 'master', 'lan', 'up');
    command('ip', '-n', this.space, 'address', 'add', `${address}/24`, 'dev', device);
    command('ip', '-n', this.space, 'link', 'set', device, 'up');
    command('ip', '-n', this.space, 'route', 'add', 'default', 'via', `${home.inside}.1`);
    Object.assign(this, { device, address });
  }
}

/** A switch with an address of its own. Without a querier a snooping bridge would swallow mDNS. */
function bridge(space, name, address) {
  command('ip', '-n', space, 'link', 'add', 'name', name, 'type', 'bridge', 'mcast_snooping', '0');
  command('ip', '-n', space, 'address', 'add', address, 'dev', name);
  command('ip', '-n', space, 'link', 'set', name, 'up');
}

/**
 * The kernel's own NAT keeps a port that is free and filters by address and port. Dropping strangers before their flow is recorded
 * keeps their packet from taking the port that the answer needs. The rest is maps that remember who sent what to whom.
 */
function natRules(kind) {
  const masquerade = kind === 'symmetric' ? 'masquerade fully-random' : 'masquerade';
  const remember = kind !== 'address' ? '' : `
  chain remember {
    type filter hook postrouting priority mangle;
    oifname "wan" meta l4proto udp update @talked { ip daddr . udp sport timeout 2m } update @owner { udp sport timeout 2m : ip saddr }
  }
  chain admit {
    type nat hook prerouting priority dstnat;
    iifname "wan" meta l4proto udp ip saddr . udp dport @talked dnat to udp dport map @owner
  }`;
  return `
table ip home {
  set talked { type ipv4_addr . inet_service; flags dynamic,timeout; size 4096; }
  map owner { type inet_service : ipv4_addr; flags dynamic,timeout; size 4096; }
  counter media { }
  ${remember}
  chain leave {
    type nat hook postrouting priority srcnat;
    oifname "wan" ${masquerade}
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    meta l4proto udp ip saddr != ${relayAddress} ip daddr != ${relayAddress} counter name media
    iifname "lan" accept
    ct state established,related accept
    ct status dnat accept
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wan" ct state new drop
  }
}`;
}

function rules(space, text) {
  command({ input: text }, 'ip', 'netns', 'exec', space, 'nft', '-f', '-');
}

/** Runs a command to its end; what it said is the error. */
function command(...words) {
  const options = typeof words[0] === 'object' ? words.shift() : {};
  const { status, stdout, stderr, error } = spawnSync(words[0], words.slice(1), { encoding: 'utf8', ...options });
  if (status !== 0) throw new Error(`${words.join(' ')}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}
