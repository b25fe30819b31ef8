import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { secondsAtMost, secondsOfSubtitles } from '../../src/proxy/endpoints/recording.ts';

/** The head of a WAV file of one channel and 16 bits, and so many bytes of sound. */
function aWave(bytes: number, { rate = 16_000, frame = 2 } = {}): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.write('WAVEfmt ', 8);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt16LE(frame, 32);
  head.writeUInt16LE(16, 34);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
}

describe('how long a recording can be', () => {
  test('is known of one that is not compressed', () => assert.equal(secondsAtMost(aWave(319_000)), 10));
  test('is a second for 2,000 bytes of others', () => assert.equal(secondsAtMost(Buffer.alloc(19_001)), 10));
  test('is not believed of one whose frames are not what its samples are', () =>
    assert.equal(secondsAtMost(aWave(19_956, { frame: 60_000 })), 10));
  test('is not divided by nothing', () => assert.equal(secondsAtMost(aWave(19_956, { rate: 0 })), 10));
  test('is nothing for nothing', () => assert.equal(secondsAtMost(Buffer.alloc(0)), 0));
});

describe('when the last subtitle ends', () => {
  test('in SRT', () =>
    assert.equal(
      secondsOfSubtitles('1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:01,000 --> 01:02:03,500\nb'),
      3_723.5,
    ));
  test('in WebVTT, without hours', () =>
    assert.equal(secondsOfSubtitles('WEBVTT\n\n00:00.000 --> 00:04.250\na'), 4.25));
  test('in a text without times', () => assert.equal(secondsOfSubtitles('Good day'), undefined));
});
