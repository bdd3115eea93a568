// What the build must know of a WebAssembly module's bytes: its functions, and their names.

const CUSTOM = 0;
const IMPORTS = 2;
const CODE = 10;
/** Of the parts of a section of names. */
const OF_FUNCTIONS = 1;

/** How many functions a module imports, and the bodies of its own. */
export function functions(module) {
  let imported = 0;
  const bodies = [];
  for (const { id, at, end } of sections(module)) {
    const read = reader(module, at, end);
    if (id === IMPORTS) {
      for (let left = read.number(); left > 0; left--) {
        read.bytes();
        read.bytes();
        const kind = read.byte();
        if (kind === 0) {
          imported++;
          read.number();
        } else if (kind === 1) {
          read.byte();
          limits(read);
        } else if (kind === 2) limits(read);
        else if (kind === 3) {
          read.byte();
          read.byte();
        } else throw new Error(`an import of unknown kind ${kind}`);
      }
    } else if (id === CODE) {
      for (let left = read.number(); left > 0; left--) bodies.push(read.bytes());
    }
  }
  return { imported, bodies };
}

/** The names of functions by their number, imported ones first; empty where the module has no names. */
export function functionNames(module) {
  const names = new Map();
  for (const { id, at, end } of sections(module)) {
    const read = reader(module, at, end);
    if (id !== CUSTOM || text(read.bytes()) !== 'name') continue;
    while (read.left()) {
      const part = read.byte();
      const of = read.bytes();
      if (part !== OF_FUNCTIONS) continue;
      const list = reader(of, 0, of.length);
      for (let left = list.number(); left > 0; left--) names.set(list.number(), text(list.bytes()));
    }
  }
  return names;
}

/** The module with these bodies in place of its own. */
export function withBodies(module, bodies) {
  const pieces = [module.subarray(0, HEADER)];
  for (const { id, from, end } of sections(module)) {
    if (id !== CODE) {
      pieces.push(module.subarray(from, end));
      continue;
    }
    const code = Buffer.concat([leb(bodies.length), ...bodies.flatMap((body) => [leb(body.length), body])]);
    pieces.push(Buffer.from([CODE]), leb(code.length), code);
  }
  return Buffer.concat(pieces);
}

/** An unsigned number as WebAssembly writes it. */
export function leb(value) {
  const bytes = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) | (rest ? 0x80 : 0));
    value = rest;
  } while (value);
  return Buffer.from(bytes);
}

/** Bytes before the first section: the magic number and the version. */
const HEADER = 8;

/** Each section: where it begins, and where its content does and ends. */
function* sections(module) {
  const read = reader(module, HEADER, module.length);
  while (read.left()) {
    const from = read.at();
    const id = read.byte();
    const content = read.bytes();
    yield { id, from, at: read.at() - content.length, end: read.at() };
  }
}

function limits(read) {
  const flags = read.byte();
  read.number();
  if (flags & 1) read.number();
}

function text(bytes) {
  return Buffer.from(bytes).toString();
}

function reader(bytes, at, end) {
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  return {
    at: () => at,
    left: () => at < end,
    byte: () => bytes[at++],
    number,
    /** As many bytes as the number before them says. */
    bytes: () => {
      const length = number();
      at += length;
      return bytes.subarray(at - length, at);
    },
  };
}
