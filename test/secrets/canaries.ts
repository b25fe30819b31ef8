import { randomInt } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Characters that stand nowhere else. */
export const unique = (length = 24): string =>
  Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('');

/**
 * `secret`: may stand nowhere but in the hands of its holder, or sealed. `misplaced`: a credential in a field that is not
 * made for one, where it is kept as any text, if the field takes it. `content`: for the caller and the model alone.
 */
export type Kind = 'secret' | 'misplaced' | 'content';

/** A mask may show the last four characters, and a prefix that all keys share. */
const windowLength = 8;
/** Eight hexadecimal digits are 32 bits: among the hashes that Redis is told, one of 4,000 windows is met by chance. */
const hexLength = 16;
const step = 4;

/** Texts that are looked for, also in part, in Base64 and in hexadecimal digits. */
export class Canaries {
  readonly #windows = new Map<string, { readonly name: string; readonly kind: Kind; readonly whole: string }>();
  /** Whether a window begins with these two bytes: most of what is searched is passed over by it. */
  readonly #beginnings = new Uint8Array(1 << 16);
  readonly names = new Set<string>();

  /** @param core the part that only its holder knows, where that is not all of it */
  plant(name: string, text: string, { kind = 'secret', core = text }: { kind?: Kind; core?: string } = {}): string {
    this.names.add(name);
    // With what comes before it a text has three spellings in Base64. Its ends depend on what stands around it.
    const encoded = [0, 1, 2].map((skip) => Buffer.from(core.slice(skip)).toString('base64').slice(0, -4));
    for (const spelling of [core, ...encoded]) this.#watch(spelling, windowLength, { name, kind });
    this.#watch(Buffer.from(core).toString('hex'), hexLength, { name, kind });
    return text;
  }

  #watch(spelling: string, length: number, canary: { readonly name: string; readonly kind: Kind }): void {
    for (let at = 0; at + length <= spelling.length; at += step) {
      const whole = spelling.slice(at, at + length);
      this.#windows.set(whole.slice(0, windowLength), { ...canary, whole });
      this.#beginnings[pairAt(Buffer.from(whole, 'latin1'), 0)] = 1;
    }
  }

  /** The canaries in a text, each with what stands around it. */
  find(text: string | Buffer, kinds: readonly Kind[] = ['secret', 'misplaced', 'content']): string[] {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    const found = new Map<string, string>();
    for (let at = 0; at + windowLength <= bytes.length; at++) {
      if (this.#beginnings[pairAt(bytes, at)] === 0) continue;
      const known = this.#windows.get(bytes.toString('latin1', at, at + windowLength));
      if (!known || !kinds.includes(known.kind) || found.has(known.name)) continue;
      if (bytes.toString('latin1', at, at + known.whole.length) !== known.whole) continue;
      found.set(known.name, bytes.toString('latin1', Math.max(0, at - 120), at + 60));
    }
    return [...found].map(([name, around]) => `${name}: …${JSON.stringify(around)}…`);
  }
}

const pairAt = (bytes: Buffer, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
