/**
 * How long a recording is, by what its file says of itself; undefined where that is nothing that is read here: WebM has
 * its length in a tree, and where it was recorded in a browser, nowhere. Used as a floor beside what the upstream has
 * heard, so that a file which makes itself shorter than it is gains nothing by it but that.
 */
export function secondsInFile(file: Buffer): number | undefined {
  const mark = file.toString('latin1', 0, 4);
  if (mark === 'OggS') return secondsOfOgg(file);
  if (mark === 'fLaC') return secondsOfFlac(file);
  if (file.toString('latin1', 4, 8) === 'ftyp') return secondsOfMp4(file);
  return secondsOfMp3(file);
}

const opusRate = 48_000;

/** The last page counts the samples up to its end. */
function secondsOfOgg(file: Buffer): number | undefined {
  const last = file.lastIndexOf('OggS', undefined, 'latin1');
  if (file.length < 58 || last + 14 > file.length) return undefined;
  const end = Number(file.readBigInt64LE(last + 6));
  if (file.toString('latin1', 28, 36) === 'OpusHead') return (end - file.readUInt16LE(38)) / opusRate;
  return file.toString('latin1', 29, 35) === 'vorbis' ? end / file.readUInt32LE(40) : undefined;
}

/** Twenty bits of the rate, eight of others, and 36 of the number of samples. */
function secondsOfFlac(file: Buffer): number | undefined {
  if (file.length < 26) return undefined;
  const packed = file.readBigUInt64BE(18);
  const rate = Number(packed >> 44n);
  return rate > 0 ? Number(packed & 0xf_ffff_ffffn) / rate : undefined;
}

/** In `mvhd` of `moov`: of the scale, and the length in it. */
function secondsOfMp4(file: Buffer): number | undefined {
  const movie = boxIn(file, 'moov');
  const header = movie && boxIn(movie, 'mvhd');
  if (!header || header.length < 32) return undefined;
  const isLong = header[0] === 1;
  const scale = header.readUInt32BE(isLong ? 20 : 12);
  const length = isLong ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(16);
  return scale > 0 ? length / scale : undefined;
}

const mostBoxes = 10_000;

/** The inside of the first box of a kind. */
function boxIn(bytes: Buffer, kind: string): Buffer | undefined {
  let at = 0;
  for (let count = 0; count < mostBoxes && at + 16 <= bytes.length; count++) {
    const short = bytes.readUInt32BE(at);
    const head = short === 1 ? 16 : 8;
    const size = short === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : short || bytes.length - at;
    if (size < head) return undefined;
    if (bytes.toString('latin1', at + 4, at + 8) === kind) return bytes.subarray(at + head, at + size);
    at += size;
  }
  return undefined;
}

const rates = [44_100, 48_000, 32_000];
const kilobits = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;

/** An hour and more, in 50 ms; what comes after is taken to be as it was up to there. */
const mostFrames = 200_000;
const mostGaps = 1_000;

/** Layer III: its frames one after the other, as a decoder goes through them. One frame alone may be chance. */
function secondsOfMp3(file: Buffer): number | undefined {
  let at = behindTag(file);
  let seconds = 0;
  let frames = 0;
  for (let gaps = 0; frames < mostFrames && gaps < mostGaps && at >= 0 && at + 4 <= file.length;) {
    const frame = frameAt(file, at);
    if (frame) {
      seconds += frame.seconds;
      frames++;
      at += frame.bytes;
    } else {
      if (frames === 0) return undefined;
      gaps++;
      at = file.indexOf(0xff, at + 1);
    }
  }
  if (frames === mostFrames) return (seconds * file.length) / at;
  return frames > 1 ? seconds : undefined;
}

/** A tag says how long it is, in four times seven bits. */
function behindTag(file: Buffer): number {
  if (file.length < 10 || file.toString('latin1', 0, 3) !== 'ID3') return 0;
  return 10 + [6, 7, 8, 9].reduce((size, at) => size * 128 + (file.readUInt8(at) & 0x7f), 0);
}

function frameAt(file: Buffer, at: number): { readonly seconds: number; readonly bytes: number } | undefined {
  const head = file.readUInt32BE(at);
  const version = (head >>> 19) & 3;
  const isSound = head >>> 21 === 0x7ff && version !== 1 && ((head >>> 17) & 3) === 1;
  const fullRate = rates[(head >>> 10) & 3];
  const isFirst = version === 3;
  const kilobit = kilobits[isFirst ? 0 : 1][(head >>> 12) & 15];
  if (!isSound || !fullRate || !kilobit) return undefined;
  const rate = fullRate / (isFirst ? 1 : version === 2 ? 2 : 4);
  const samples = isFirst ? 1_152 : 576;
  const bytes = Math.floor((samples * kilobit * 125) / rate) + ((head >>> 9) & 1);
  return { seconds: samples / rate, bytes };
}
