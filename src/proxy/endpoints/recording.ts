/** Compressed speech has 2 kB a second or more; music has ten times as much, and is shorter than this says. */
const fewestBytesPerSecond = 2_000;

/** How long a recording can be: what is reserved for it, and what it is booked with where nobody says better. */
export function secondsAtMost(file: Buffer): number {
  return Math.ceil(file.length / (waveBytesPerSecond(file) ?? fewestBytesPerSecond));
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

const timestamps = /-->\s*(?:(\d{1,3}):)?(\d{2}):(\d{2})[.,](\d{3})/g;

/** When the last subtitle ends (SRT, WebVTT); undefined for a text without times. */
export function secondsOfSubtitles(text: string): number | undefined {
  let last: RegExpExecArray | undefined;
  for (const found of text.matchAll(timestamps)) last = found;
  if (!last) return undefined;
  const [, hours = '0', minutes = '0', seconds = '0', thousandths = '0'] = last;
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds) + Number(thousandths) / 1_000;
}
