import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoteForBash, splitLine } from '../../src/docs/command-line.ts';

const texts = (line: string) => splitLine(line).map(({ text }) => text);

test('a line is split at blanks, and the last word is the one under the cursor', () => {
  assert.deepEqual(texts('gatewayctl  key get'), ['gatewayctl', 'key', 'get']);
  assert.deepEqual(texts('gatewayctl key '), ['gatewayctl', 'key', '']);
  assert.deepEqual(texts(''), ['']);
});

test('quotes and backslashes are taken off as a shell would', () => {
  assert.deepEqual(texts(String.raw`a\ b "c d" 'e f' g"h"'i'`), ['a b', 'c d', 'e f', 'ghi']);
  assert.deepEqual(texts(String.raw`"a\"b\n" 'a\b' ""`), [String.raw`a"b\n`, String.raw`a\b`, '']);
});

test('nothing is expanded', () => {
  assert.deepEqual(texts('$(touch x) `y` $HOME * ~'), ['$(touch', 'x)', '`y`', '$HOME', '*', '~']);
});

test('a quote left open is reported with the place where bash sees the word begin', () => {
  assert.deepEqual(splitLine('a --team="my t', '=').at(-1), { text: '--team=my t', quote: '"', start: 7 });
  assert.deepEqual(splitLine("a 'b").at(-1), { text: 'b', quote: "'", start: 0 });
});

test('a character bash breaks words at counts only outside quotes', () => {
  assert.equal(splitLine('a x:y:z', ':').at(-1)?.start, 4);
  assert.equal(splitLine(String.raw`a x\:y`, ':').at(-1)?.start, 0);
  assert.equal(splitLine('a "x:y', ':').at(-1)?.start, 0);
});

test('a value is spelled so that it arrives as it is, whatever quote is open', () => {
  for (const value of ['plain', "it's", 'a "b" $(c) `d` \\e', '!x *? ~ #&;<>|(){}[]^']) {
    assert.equal(splitLine(quoteForBash(value, '')).at(0)?.text, value);
    assert.equal(splitLine(`"${quoteForBash(value, '"')}"`).at(0)?.text, value);
    assert.equal(splitLine(`'${quoteForBash(value, "'")}'`).at(0)?.text, value);
  }
});
