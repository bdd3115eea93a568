import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExported } from '../app/lib/exported.js';
import { FIGURES, figureProblem, figureText, holdNote, parseFigure, sendingWords } from '../app/lib/limits.js';
import type { Limits, Stats } from '../sdk/types.js';

const NONE: Limits = {
  upRate: null,
  downRate: null,
  upPerDay: null,
  sendOnMetered: false,
  pauseOnBattery: false,
  hideAddress: false,
};

test('a typed figure comes back as it was typed, and nonsense is told', () => {
  for (const figure of FIGURES) {
    assert.equal(parseFigure(' ', figure), null);
    assert.equal(figureText(NONE, figure), '');
    for (const text of ['0.05', '1', '2.5', '250']) {
      const bytes = parseFigure(text.replace('.', ','), figure);
      assert.equal(bytes, Math.round(Number(text) * figure.unit));
      assert.equal(figureText({ ...NONE, [figure.key]: bytes }, figure), text);
    }
    for (const text of ['0', '-1', 'fast', '1e9', '0.0001', '1 000', '9999999'])
      assert.equal(parseFigure(text, figure), undefined, text);
    assert.match(figureProblem(figure), /at least 0\.0/);
  }
});

test('every reason to hold back has words, and those a person can lift a way to do so', () => {
  const holds: Stats['uploadHold'][] = [null, 'unasked', 'refused', 'metered', 'battery', 'day'];
  const words = holds.map((uploadHold) => sendingWords({ uploadHold }));
  assert.equal(new Set(words).size, holds.length);
  const limits = { ...NONE, upPerDay: 1_000_000_000, pauseOnBattery: true };
  for (const uploadHold of holds) {
    const note = holdNote({ uploadHold, limits });
    const lifted = uploadHold === 'metered' || uploadHold === 'battery' || uploadHold === 'day';
    assert.equal(note !== null, lifted, String(uploadHold));
    if (note) assert.notDeepEqual({ ...limits, ...note.change }, limits);
  }
  assert.match(holdNote({ uploadHold: 'day', limits })?.text ?? '', /1 GB a day/);
});

test('an exported file is told by how it begins', async () => {
  const mark = new Uint8Array([0x89, 0x47, 0x59, 0x52, 0x45, 0x0d, 0x0a, 0x01]);
  assert.equal(await isExported(new Blob([mark, 'more'])), true);
  assert.equal(await isExported(new Blob([mark.slice(0, 7)])), false);
  assert.equal(await isExported(new Blob(['GYRE and so on'])), false);
  assert.equal(await isExported(new Blob([])), false);
});
