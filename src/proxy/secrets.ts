import type { Deployment } from '../models/deployment.ts';

/** What is shorter is no secret but what stands where one is wanted: `none`, `EMPTY`. Answers may have it in them. */
const shortest = 8;
/** Of a longer one its beginning is looked for: whoever repeats it repeats that. */
const mostLooked = 128;
/** Lines of a private key, which is broken up in as many ways as there are ways to write a line's end. */
const keyLine = /[A-Za-z0-9+/=]{40,}/g;
/** A key and the tokens that were fetched with it, each for an hour: those before the last three have ended. */
const mostLearned = 4;

const hex = (each: string) => `\\u${each.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

/** A text as it stands in JSON, in an URL and in what PHP and .NET write as JSON. */
function formsOf(text: string): readonly string[] {
  const json = JSON.stringify(text).slice(1, -1);
  return [text, json, json.replaceAll('/', '\\/'), json.replaceAll(/[+&<>'`]/g, hex), encodeURIComponent(text)];
}

/** The parts of a service account that open something. */
function partsOf(text: string): readonly string[] {
  const key = text.includes('PRIVATE KEY-----') ? (privateKeyIn(text) ?? text) : undefined;
  if (key === undefined) return [text];
  return [key, ...(key.replaceAll(/-----[^-]*-----/g, '').match(keyLine) ?? [])];
}

function privateKeyIn(account: string): string | undefined {
  try {
    const key: unknown = Reflect.get(Object(JSON.parse(account)), 'private_key');
    return typeof key === 'string' ? key : undefined;
  } catch {
    // It is the key itself.
    return undefined;
  }
}

/**
 * The credentials that a deployment is called with, in the forms in which an upstream may repeat them: they are in nothing
 * that a caller, a log or a callback is given.
 */
export class Secrets {
  readonly #given: readonly string[];
  #learned: readonly string[] = [];
  #forms: readonly string[] = [];
  #needles: readonly Buffer[] = [];

  constructor({ apiKey, secrets = {}, otherSecrets = [] }: Pick<Deployment, 'apiKey' | 'secrets' | 'otherSecrets'>) {
    this.#given = [apiKey, ...Object.values(secrets), ...otherSecrets].filter((each) => each !== undefined);
    this.#prepare();
  }

  /** A token that was fetched for calls, or a key read from a file. */
  learn(text: string): void {
    this.#learned = [...this.#learned.filter((each) => each !== text), text].slice(-mostLearned);
    this.#prepare();
  }

  areIn(bytes: Buffer): boolean {
    return this.#needles.some((needle) => bytes.includes(needle));
  }

  areInText(text: string): boolean {
    return this.#forms.some((form) => text.includes(form));
  }

  redact(text: string): string {
    let clean = text;
    for (const form of this.#forms) clean = clean.replaceAll(form, '[redacted]');
    return clean;
  }

  /** How many of the last bytes may be the first of a secret. */
  openEnd(bytes: Buffer): number {
    let most = 0;
    for (const needle of this.#needles) most = Math.max(most, openEndOf(bytes, needle, most));
    return most;
  }

  #prepare(): void {
    const texts = [...this.#given, ...this.#learned].flatMap(partsOf).filter(({ length }) => length >= shortest);
    // The longest first: what is a part of another must not leave the rest of that behind.
    this.#forms = [...new Set(texts.flatMap(formsOf))].toSorted((one, other) => other.length - one.length);
    this.#needles = this.#forms.map((form) => Buffer.from(form).subarray(0, mostLooked));
  }
}

/** @param least shorter ones are not looked for */
function openEndOf(bytes: Buffer, needle: Buffer, least: number): number {
  const [first = 0] = needle;
  const from = Math.max(0, bytes.length - needle.length + 1);
  for (let at = bytes.indexOf(first, from); at !== -1; at = bytes.indexOf(first, at + 1)) {
    const length = bytes.length - at;
    if (length <= least) return 0;
    if (bytes.compare(needle, 0, length, at) === 0) return length;
  }
  return 0;
}

const known = new WeakMap<Deployment, Secrets>();

export function secretsOf(deployment: Deployment): Secrets {
  let secrets = known.get(deployment);
  if (!secrets) known.set(deployment, (secrets = new Secrets(deployment)));
  return secrets;
}
