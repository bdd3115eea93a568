import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Words } from '../sdk/mail/words.js';

const mail = (id: string, people: string, text = '') => ({ id, thread: id, subject: '', text, people });

test('an address finds the mails that have it, not those that have its words', () => {
  const words = new Words();
  words.add([
    mail('a', 'Ada ada@mail.example.org'),
    mail('b', 'Bob bob@mail.example.org'),
    mail('c', 'Bob', 'Ask ada about mail at example org.'),
    mail('d', 'Bob', 'Her address is <ada@mail.example.org>, I think.'),
  ]);
  assert.deepEqual(words.threads('ada@mail.example.org', 10).sort(), ['a', 'd']);
  assert.deepEqual(words.threads('bob@mail', 10), ['b']);
  assert.deepEqual(words.threads('address ada@mail.example.org', 10), ['d']);
  assert.deepEqual(words.threads('example org', 10).sort(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(words.threads('ada', 10).sort(), ['a', 'c', 'd']);
});
