/** How much is put aside before it is gone through: most streams end before, and cost nothing. */
const foldBytes = 64 * 1024;
const longestText = 1024 * 1024;

/** What a stream has delivered, for when nobody says how many tokens that was. */
export class DeliveredText {
  readonly #written: RegExp;
  #pending: string[] = [];
  #pendingLength = 0;
  #texts: string[] = [];
  #length = 0;
  #pieces = 0;

  /** @param written finds the members that hold what a model wrote, each with its JSON string, of which an escaped quote is no end */
  constructor(written: RegExp) {
    this.#written = written;
  }

  /** Takes events as they went by, a character for each byte. */
  add(events: string): void {
    this.#pending.push(events);
    this.#pendingLength += events.length;
    if (this.#pendingLength > foldBytes) this.#fold();
  }

  /** Tokens, roughly: a piece of a stream is seldom less than one, and four bytes are seldom more. */
  get tokens(): number {
    this.#fold();
    return Math.max(this.#pieces, Math.ceil(this.#length / 4));
  }

  /** The text itself, up to 1 MiB; undefined where there was more, which is then best guessed from its length. */
  get text(): string | undefined {
    this.#fold();
    if (this.#length > longestText) return undefined;
    const json = Buffer.from(`"${this.#texts.join('')}"`, 'latin1').toString();
    try {
      return String(JSON.parse(json));
    } catch {
      // A stream need not hold valid JSON; its length is then all we know.
      return undefined;
    }
  }

  #fold(): void {
    for (const events of this.#pending) {
      for (const [, text = ''] of events.matchAll(this.#written)) {
        if (text === '') continue;
        this.#pieces++;
        this.#length += text.length;
        if (this.#length <= longestText) this.#texts.push(text);
      }
    }
    this.#pending = [];
    this.#pendingLength = 0;
  }
}
