import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, hasOthers, prefixed, withQuote } from '../app/mail/answer.js';
import { addFiles, asFiles, MAX_BYTES, MAX_FILES, safeName } from '../app/mail/attach.js';
import { completions, contactCalled, contactName, isClaimed, isOfStrangers, nameList, personName, recipientsIn, safetyGroups } from '../app/mail/people.js';
import { bareContentId, inlinePictures } from '../app/mail/pictures.js';
import { FOLDERS, listOf, mailAddress, parseMailPlace, sameList, type MailPlace } from '../app/mail/place.js';
import { blocksOf, spansOf } from '../app/mail/plain.js';
import { SHORTCUT_HELP, Shortcuts, takesKeys, type KeyPress } from '../app/mail/shortcuts.js';
import { canRetry, emptyFolder, folderName, isUnderway, listTime, networkNote, places, rowLabel, statusWords, windowTitle } from '../app/mail/words.js';
import { parseRoute } from '../app/lib/router.js';
import type { Mail, MailAttachment, Person, SendStatus } from '../sdk/mail/types.js';
import { FakeMailbox, from, idOf, ME, person } from './fake-mailbox.js';

const grace = person(idOf('b'), 'Grace', { name: 'Grace Hopper' });
const lin = person(idOf('n'), 'Lin');
const stranger: Person = { id: idOf('f'), name: 'Mallory', petname: null, address: null };
const status = (state: SendStatus['state'], more: Partial<SendStatus> = {}): SendStatus => ({ message: 'm', to: grace.id, state, peers: 0, relays: 0, progress: null, code: null, ...more });
const mail = (more: Partial<Mail>): Mail => new FakeMailbox().put({ from: from(grace), ...more });

test('every place has an address that leads back to it', () => {
  const all: MailPlace[] = [
    ...FOLDERS.flatMap((folder): MailPlace[] => [
      { view: 'list', folder, thread: null },
      { view: 'list', folder, thread: 'a/b ü' },
    ]),
    { view: 'search', query: 'one two/three %', thread: null },
    { view: 'search', query: 'x', thread: 't1' },
    { view: 'write', draft: null, to: null },
    { view: 'write', draft: 'd/1', to: null },
    { view: 'write', draft: null, to: ME },
    { view: 'write', draft: null, to: `dmail:${ME}?c=abc-_` },
    { view: 'contacts' },
    { view: 'settings' },
  ];
  for (const place of all) {
    const address = mailAddress(place);
    assert.deepEqual(parseMailPlace(address), place, address);
    assert.deepEqual(parseRoute(address), { page: 'mail', fragment: address });
  }
  assert.deepEqual(parseMailPlace('#/mail/nonsense'), { view: 'list', folder: 'inbox', thread: null });
  assert.deepEqual(parseMailPlace('#/mail/inbox/%zz'), { view: 'list', folder: 'inbox', thread: '%zz' });
  assert.equal(parseRoute('#/mailing').page, 'unknown');
  assert.equal(parseRoute('#/m/').page, 'unknown');
});

test('a conversation belongs to the list from which it was opened', () => {
  const open: MailPlace = { view: 'list', folder: 'archive', thread: 't' };
  assert.equal(mailAddress(listOf(open)), '#/mail/archive');
  assert.equal(sameList(open, { view: 'list', folder: 'archive', thread: null }), true);
  assert.equal(sameList(open, { view: 'list', folder: 'inbox', thread: 't' }), false);
  assert.equal(mailAddress(listOf({ view: 'settings' })), '#/mail');
});

test('states say what is known and no more', () => {
  assert.equal(statusWords(status('stored', { peers: 5 }), 'Grace').long, 'Stored on 5 machines, waiting for Grace to fetch it');
  assert.equal(places(5, 1), '5 machines and 1 mailbox relay');
  assert.equal(places(0, 2), '2 mailbox relays');
  assert.equal(statusWords(status('delivered'), 'Grace').long, 'Delivered to Grace');
  assert.equal(statusWords(status('read'), 'Grace').short, 'Read');
  assert.match(statusWords(status('waiting')).long, /goes out by itself/);
  assert.match(statusWords(status('waiting', { code: 'NO_IDENTITY' })).long, /nobody reachable knows their keys/);
  assert.match(statusWords(status('stamping', { progress: 0.339 })).long, /33 %$/);
  assert.match(statusWords(status('stamping', { progress: 1.7 })).long, /170 % of what it usually takes$/, 'bad luck is not hidden');
  assert.match(statusWords(status('uploading', { peers: 6, progress: 1 / 3 })).long, /^Kept on 6 machines. Passing on the attachments… 33 %$/);
  assert.deepEqual(statusWords(status('refused', { code: 'MAIL_CANCELLED' })), { short: 'Not sent', long: 'Stopped by you. It can be sent again', tone: 'bad' });
  assert.match(statusWords(status('refused', { code: 'MAIL_CLOSED' })).long, /takes no mail from people they do not know$/);
  assert.deepEqual([statusWords(status('looking', { code: 'UPLOADS_OFF' })).short, statusWords(status('looking', { code: 'UPLOADS_OFF' })).tone], ['Held back', 'warm']);
  assert.match(statusWords(status('looking', { code: 'UPLOADS_HELD' })).long, /your limits/);
  for (const state of ['expired', 'refused', 'failed'] as const) assert.equal(statusWords(status(state)).tone, 'bad');
  assert.match(statusWords(status('refused', { code: 'X_NEW' })).long, /X_NEW/, 'a reason that is not known is not hidden');
  for (const state of ['waiting', 'uploading', 'looking', 'stamping', 'stored'] as const) assert.deepEqual([isUnderway(status(state)), canRetry(status(state))], [true, false]);
  for (const state of ['delivered', 'read'] as const) assert.deepEqual([isUnderway(status(state)), canRetry(status(state))], [false, false]);
});

test('times are as short as they can be', () => {
  const now = new Date(2026, 5, 15, 12, 0).getTime();
  assert.match(listTime(new Date(2026, 5, 15, 9, 5).getTime(), now, 'en-GB'), /^09:05$/);
  assert.match(listTime(new Date(2026, 5, 14, 23, 59).getTime(), now, 'en-GB'), /^14 Jun$/);
  assert.match(listTime(new Date(2025, 11, 31).getTime(), now, 'en-GB'), /^31 Dec 2025$/);
});

test('a row is read out in the order in which it is seen', async () => {
  const box = new FakeMailbox();
  box.people = [grace];
  box.put({ thread: 'T', from: from(grace), subject: 'Hello', time: Date.now(), attachments: [{ name: 'a', type: '', size: 1, here: true }] });
  const [thread] = (await box.list('inbox')).threads;
  assert.match(rowLabel(thread!, Date.now()), /^Unread, Grace, Hello, 1 attachment, \d/);
  assert.equal(windowTitle('Inbox', 3), '(3) Inbox – Gyre');
  assert.equal(windowTitle('Inbox', 0), 'Inbox – Gyre');
  assert.equal(networkNote('online'), '');
  assert.match(networkNote('offline'), /goes out by itself/);
  for (const folder of FOLDERS) assert.ok(folderName(folder).length > 0 && emptyFolder(folder).endsWith('.'));
});

test('people are called as their owner calls them', () => {
  assert.equal(personName(from(grace)), 'Grace');
  assert.equal(personName(stranger), 'Mallory');
  assert.equal(personName({ ...stranger, name: '\u202eevil\u0007' }), 'evil', 'nothing that turns the line');
  assert.equal(personName({ ...stranger, name: '' }), 'ffffff…ffffff');
  assert.equal(personName({ id: null, name: '', petname: null, address: 'a@b.example' }), 'a@b.example');
  assert.equal(isClaimed(stranger) && !isClaimed(from(grace)), true);
  assert.equal(contactName({ id: idOf('f'), petname: null, name: 'Mallory' }), 'Mallory');
  assert.equal(nameList([from(grace), from(lin)]), 'Grace and Lin');
  assert.equal(nameList([from(grace), from(lin), stranger, { ...stranger, name: 'Eve' }]), 'Grace, Lin and 2 others');
});

test('names are completed: beginnings first, without who is blocked or there already', () => {
  const all = [person(idOf('a'), 'Anna Maria'), person(idOf('b'), 'Maria'), person(idOf('c'), 'Mário'), person(idOf('d'), 'Marion', { state: 'blocked' }), person(idOf('e'), 'Marta', { state: 'request' })];
  assert.deepEqual(completions(all, 'mar', new Set()).map(contactName), ['Maria', 'Mário', 'Anna Maria']);
  assert.deepEqual(completions(all, 'mar', new Set([idOf('b')])).map(contactName), ['Mário', 'Anna Maria']);
  assert.deepEqual(completions(all, ' ', new Set()), []);
  assert.equal(contactCalled(all, 'maria ')?.id, idOf('b'));
  assert.equal(contactCalled([...all, person(idOf('g'), 'MARIA')], 'maria'), null, 'two of one name are told apart by hand');
  assert.equal(contactCalled([person(idOf('a'), null, { name: 'Bank' })], 'bank'), null, 'what somebody calls themself is no name');
  assert.deepEqual(recipientsIn(' Anna Maria , b;\nc,, '), ['Anna Maria', 'b', 'c']);
  assert.deepEqual(safetyGroups('koma ribu'), ['koma', 'ribu']);
  assert.deepEqual(safetyGroups('123456789'), ['1234', '5678', '9']);
});

test('who was not let in is a stranger, whatever the address says', () => {
  const letter = mail({ from: stranger });
  assert.equal(isOfStrangers([letter], [grace]), true);
  assert.equal(isOfStrangers([letter], [person(idOf('f'), null, { state: 'request' })]), true);
  for (const state of ['accepted', 'muted', 'blocked'] as const) assert.equal(isOfStrangers([letter], [person(idOf('f'), 'Mal', { state })]), false);
  assert.equal(isOfStrangers([letter, mail({ own: true })], []), false, 'who was answered is let in');
  assert.equal(isOfStrangers([mail({ from: stranger, verified: 'imported' })], []), false);
  const bridged = mail({ from: { ...stranger, name: 'Zoë', address: 'zoe@fine.example' }, verified: 'bridge' });
  assert.equal(isOfStrangers([bridged], []), true, 'a bridge that was not let in');
  assert.deepEqual(answer(bridged, 'reply', ME).draft.to, ['zoe@fine.example'], 'whoever wrote, not the bridge');
  assert.equal(isOfStrangers([], []), false);
});

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });

test('keys are commands, but not with modifiers, held down, or while something is typed', () => {
  const keys = new Shortcuts();
  assert.equal(keys.command(press('j'), 0), 'next');
  assert.equal(keys.command(press('#'), 0), 'trash');
  assert.equal(keys.command(press('a', { ctrlKey: true }), 0), null);
  assert.equal(keys.command(press('e', { repeat: true }), 0), null);
  assert.equal(keys.command(press('j', { repeat: true }), 0), 'next');
  assert.equal(keys.command(press('g'), 100), null);
  assert.equal(keys.command(press('i'), 200), 'inbox');
  assert.equal(keys.command(press('g'), 300), null);
  assert.equal(keys.command(press('c'), 5_000), 'write', 'the wait for a second key ends');
  assert.equal(keys.command(press('g'), 6_000), null);
  assert.equal(keys.command(press('x'), 6_100), null, 'a second key that means nothing does nothing');
  assert.equal(keys.command(press('x'), 6_200), 'select');
  for (const target of [{ tagName: 'TEXTAREA' }, { tagName: 'INPUT', type: 'text' }, { tagName: 'SELECT' }, { tagName: 'DIV', isContentEditable: true }]) assert.equal(takesKeys(target), true);
  for (const target of [null, { tagName: 'INPUT', type: 'checkbox' }, { tagName: 'ARTICLE' }, { tagName: 'BUTTON' }]) assert.equal(takesKeys(target), false);
  const told = SHORTCUT_HELP.flatMap(({ keys: names }) => names).filter((name) => name.length === 1);
  for (const key of told) assert.ok(new Shortcuts().command(press(key), 0), `${key} is in the help`);
});

test('quoted parts are apart from own words, with the line that announces them', () => {
  const blocks = blocksOf('Yes.\r\n\r\nOn Tuesday 3 May, Grace wrote:\r\n> one\r\n>> two\r\n\r\nAnd more.\n');
  assert.deepEqual(blocks, [
    { quoted: false, text: 'Yes.' },
    { quoted: true, text: 'On Tuesday 3 May, Grace wrote:\n> one\n>> two' },
    { quoted: false, text: 'And more.' },
  ]);
  assert.deepEqual(blocksOf('\n \n'), []);
  assert.deepEqual(blocksOf('a:\n> b').map(({ quoted }) => quoted), [false, true], 'a colon alone announces nothing');
});

test('links in plain text end where the sentence goes on', () => {
  const hrefs = (text: string): (string | null)[] => spansOf(text).map(({ href }) => href).filter((href) => href !== null);
  assert.deepEqual(hrefs('See https://a.example/x, (http://b.example/y(z)) and https://c.example.'), ['https://a.example/x', 'http://b.example/y(z))', 'https://c.example']);
  assert.deepEqual(hrefs('(see https://d.example/)'), ['https://d.example/']);
  assert.deepEqual(hrefs('javascript:alert(1) data:text/html,x http://'), []);
  const text = 'One https://a.example/x, two. "http://q.example" <https://w.example>';
  assert.equal(spansOf(text).map((span) => span.text).join(''), text, 'nothing is lost');
});

test('random text comes through whole', () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  let state = seed;
  const random = (below: number): number => ((state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) >>> 8) % below;
  const pieces = ['https://', 'a.b/c', '(', ')', ' ', '\n', '>', '.', 'ü', '%', '\u202e', ':', '1', '"', 'http://x.y'];
  for (let i = 0; i < 2_000; i++) {
    const text = Array.from({ length: random(30) }, () => pieces[random(pieces.length)]).join('');
    const note = `seed ${seed}, ${JSON.stringify(text)}`;
    assert.equal(spansOf(text).map((span) => span.text).join(''), text, note);
    for (const { href } of spansOf(text)) assert.ok(href === null || /^https?:/i.test(new URL(href).protocol), note);
    const letters = (value: string): string => value.replace(/\s/g, '');
    assert.equal(letters(blocksOf(text).map((block) => block.text).join('')), letters(text), note);
    assert.deepEqual(typeof parseMailPlace(`#/mail/${text}`).view, 'string', note);
  }
});

test('an answer goes to who wrote, one to all to everybody but oneself', () => {
  const [me, other] = [{ ...stranger, id: ME }, from(lin)];
  const letter = mail({ id: 'M', thread: 'T', subject: 'Re: AW: Hello', text: 'one\n> two\n', to: [me, other] });
  const reply = answer(letter, 'reply', ME);
  assert.deepEqual([reply.draft.to, reply.draft.subject, reply.draft.thread, reply.draft.inReplyTo], [[grace.id], 'Re: Hello', 'T', 'M']);
  assert.match(reply.quote, /Grace wrote:\n> one\n>> two$/);
  assert.deepEqual(answer(letter, 'replyAll', ME).draft.to, [grace.id, lin.id]);
  assert.equal(hasOthers(letter, ME), true);
  assert.equal(hasOthers(mail({ to: [me] }), ME), false);
  const own = mail({ from: me, own: true, to: [from(grace), other] });
  assert.deepEqual(answer(own, 'reply', ME).draft.to, [grace.id, lin.id], 'from one’s own mail it goes on to the same people');
  assert.deepEqual(answer(mail({ from: me, own: true, to: [me] }), 'reply', ME).draft.to, [ME], 'a note to oneself stays one');
});

test('a forwarded mail takes its attachments along and no thread', () => {
  const letter = mail({ subject: 'fwd: Hello', text: 'body', attachments: [{ name: 'a', type: '', size: 1, here: true }] });
  const { draft, quote, carries } = answer(letter, 'forward', ME);
  assert.deepEqual([draft.to, draft.subject, draft.thread], [[], 'Fwd: Hello', undefined]);
  assert.match(quote, /From: Grace\n.*\nSubject: fwd: Hello/);
  assert.equal(carries, letter);
  assert.equal(prefixed('Re', 'Re[2]: WG: x'), 'Re: x');
  assert.equal(prefixed('Re', 'Regarding: x'), 'Re: Regarding: x');
  assert.equal(withQuote('mine \n', 'q'), 'mine\n\nq');
  assert.equal(withQuote(' ', 'q'), 'q');
});

test('files are taken as far as a mail has room', () => {
  const file = (name: string, size: number): File => Object.defineProperty(new File([], name, { lastModified: 1 }), 'size', { value: size });
  const some = addFiles([], [file('a', 10), file('a', 10), file('b', MAX_BYTES)]);
  assert.deepEqual(some.files.map(({ name }) => name), ['a']);
  assert.match(some.refused, /“b” would be too much/);
  const many = addFiles([], Array.from({ length: MAX_FILES + 1 }, (_, i) => file(`f${i}`, 1)));
  assert.equal(many.files.length, MAX_FILES);
  assert.match(many.refused, /16 files/);
  assert.deepEqual(asFiles([new Blob(['x'], { type: 'a/b' }), new File([], 'n')]).map(({ name, type }) => [name, type]), [['attachment-1', 'a/b'], ['n', '']]);
});

test('a name of a file is harmless on any disk', () => {
  assert.equal(safeName('../../etc/pass\u202ewd:\u0000x'), '_.._etc_passwd_x');
  assert.equal(safeName(' .. '), 'attachment');
  assert.equal([...safeName('ü'.repeat(500))].length, 120);
});

test('pictures within the text are those that are here, small, and carry no script', () => {
  const attachment = (more: Partial<MailAttachment>): MailAttachment => ({ name: 'x', type: 'image/png', size: 10, here: true, contentId: 'c', ...more });
  const letter = mail({ attachments: [attachment({}), attachment({ type: 'image/svg+xml' }), attachment({ here: false }), attachment({ contentId: null }), attachment({ size: 9_000_000 }), attachment({ type: 'IMAGE/JPEG', contentId: 'd' })] });
  assert.deepEqual(inlinePictures(letter).map(({ index, contentId }) => [index, contentId]), [[0, 'c'], [5, 'd']]);
  assert.equal(bareContentId('<a%40b>'), 'a@b');
  assert.equal(bareContentId('%zz'), '%zz');
});
