import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { secondsAtLeast, secondsAtMost, secondsOfSubtitles } from '../../src/proxy/endpoints/recording.ts';

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

/** Files that say of themselves that they have 100 seconds, and so many bytes of sound. */
const files = {
  ogg(bytes: number) {
    const page = (granule: number, content: Buffer) => {
      const head = Buffer.alloc(28);
      head.write('OggS');
      head.writeBigInt64LE(BigInt(granule), 6);
      return Buffer.concat([head, content]);
    };
    const opus = Buffer.alloc(19);
    opus.write('OpusHead');
    opus.writeUInt16LE(312, 10);
    return Buffer.concat([page(0, opus), page(4_800_312, Buffer.alloc(bytes))]);
  },
  flac(bytes: number) {
    const head = Buffer.alloc(42);
    head.write('fLaC');
    head.writeBigUInt64BE((44_100n << 44n) | (15n << 36n) | 4_410_000n, 18);
    return Buffer.concat([head, Buffer.alloc(bytes)]);
  },
  m4a(bytes: number) {
    const box = (kind: string, content: Buffer) => {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(8 + content.length);
      head.write(kind, 4);
      return Buffer.concat([head, content]);
    };
    const header = Buffer.alloc(100);
    header.writeUInt32BE(1_000, 12);
    header.writeUInt32BE(100_000, 16);
    const all = [box('ftyp', Buffer.from('M4A ')), box('mdat', Buffer.alloc(bytes)), box('moov', box('mvhd', header))];
    return Buffer.concat(all);
  },
  /** 48 kHz and 64 kbit/s: 192 bytes and 24 ms a frame. */
  mp3(bytes: number) {
    const frame = Buffer.alloc(192);
    frame.writeUInt32BE(0xff_fb_54_00);
    const tag = Buffer.from('ID3\u0004\0\0\0\0\u0001\u0002', 'latin1');
    const junk = Buffer.alloc(130, 0xff);
    const frames = Array.from({ length: Math.ceil(bytes / 192) }, () => frame);
    return Buffer.concat([tag, junk, ...frames.slice(0, 5), Buffer.alloc(77), ...frames.slice(5)]);
  },
};

describe('how long a recording is at least', () => {
  for (const kind of ['ogg', 'flac', 'm4a'] as const) {
    test(`is what a file says (${kind}), up to what its bytes can hold`, () => {
      assert.equal(secondsAtLeast(files[kind](300_000)), 100);
      assert.equal(secondsAtLeast(files[kind](1_800)), 1);
    });
  }
  test('is the sum of its frames, whatever lies between them (mp3)', () =>
    assert.equal(Math.round(secondsAtLeast(files.mp3(800_000)) * 1_000), 100_008));
  test('is known of one that is not compressed', () => assert.equal(secondsAtLeast(aWave(319_000)), 10));
  test('is nothing of what cannot be read', () => {
    for (const file of [Buffer.alloc(0), Buffer.alloc(50_000, 0xff), Buffer.from('OggS'), Buffer.from('xxxxftyp')])
      assert.equal(secondsAtLeast(file), 0);
  });
});

describe('when the last subtitle ends', () => {
  test('in SRT', () =>
    assert.equal(
      secondsOfSubtitles('1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:01,000 --> 01:02:03,500\nb'),
      3_723.5,
    ));
  test('in WebVTT, without hours', () =>
    assert.equal(secondsOfSubtitles('WEBVTT\n\n00:00.000 --> 00:04.250\na'), 4.25));
  test('by what is a line of times, wherever it stands', () =>
    assert.equal(
      secondsOfSubtitles(
        'WEBVTT\n\n00:00.000 --> 00:04.250 align:left\nOn --> 00:00.000\n\n00:01.000 --> 00:02.000\nb',
      ),
      4.25,
    ));
  test('in a text without times', () => assert.equal(secondsOfSubtitles('Good day'), undefined));
});
