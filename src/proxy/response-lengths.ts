/** What a response continues is not in the request that names it, and is read and paid for all the same. */
const mostKept = 10_000;

/**
 * How many tokens the latest responses had, by their upstream's names for them: for the reservation of what continues one,
 * and for its booking where nobody says what it used. In this process alone; of others it is not known.
 */
export class ResponseLengths {
  readonly #tokens = new Map<string, number>();

  note(upstreamId: string, tokens: number): void {
    this.#tokens.delete(upstreamId);
    this.#tokens.set(upstreamId, tokens);
    if (this.#tokens.size <= mostKept) return;
    const [oldest] = this.#tokens.keys();
    if (oldest !== undefined) this.#tokens.delete(oldest);
  }

  of(upstreamId: string): number {
    return this.#tokens.get(upstreamId) ?? 0;
  }
}
