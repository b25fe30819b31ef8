import { secondsInFile } from './sound-length.ts';

/** Compressed speech has 2 kB a second or more; music has ten times as much, and is shorter than this says. */
const fewestBytesPerSecond = 2_000;

/** How long a recording can be: what is reserved for it, and what it is booked with where nobody says better. */
export function secondsAtMost(file: Buffer): number {
  return Math.ceil(file.length / (waveBytesPerSecond(file) ?? fewestBytesPerSecond));
}

/** How long it is at least, as far as that can be read: zero where it cannot. */
export function secondsAtLeast(file: Buffer): number {
  const rate = waveBytesPerSecond(file);
  const seconds = rate ? Math.ceil(file.length / rate) : (secondsInFile(file) ?? 0);
  return seconds > 0 ? Math.min(seconds, secondsAtMost(file)) : 0;
}

/**
 * RIFF: the rate stands at a fixed place of the `fmt ` chunk, which comes first in nearly all files. It is believed where
 * it follows from the samples, because a decoder goes by those: a file that only says it is short is not.
 */
function waveBytesPerSecond(file: Buffer): number | undefined {
  const isWave =
    file.length >= 36 && file.toString('latin1', 0, 4) === 'RIFF' && file.toString('latin1', 8, 16) === 'WAVEfmt ';
  if (!isWave) return undefined;
  const channels = file.readUInt16LE(22);
  const frameBytes = file.readUInt16LE(32);
  const rate = file.readUInt32LE(24) * frameBytes;
  const isSound = file.readUInt16LE(20) === 1 && frameBytes === channels * Math.ceil(file.readUInt16LE(34) / 8);
  return isSound && rate > 0 ? rate : undefined;
}

/** What is said may look like times as well, but not on a line of its own that begins with one. */
const cueTimes = /^[ \t]*[\d:.,]+[ \t]+-->[ \t]+(?:(\d{1,3}):)?(\d{2}):(\d{2})[.,](\d{3})\b/gm;

/** When the last subtitle ends (SRT, WebVTT); undefined for a text without times. */
export function secondsOfSubtitles(text: string): number | undefined {
  let last: number | undefined;
  for (const [, hours = '0', minutes, seconds, thousandths] of text.matchAll(cueTimes)) {
    const end = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds) + Number(thousandths) / 1_000;
    last = Math.max(last ?? 0, end);
  }
  return last;
}
