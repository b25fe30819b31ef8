import { type Failure, type FailureKind, meanings } from './failure.ts';
import { mostFallbacks, mostRetries, type Fallbacks, type RoutingSettings } from './routing-settings.ts';

/** What the client of a call says of it. */
export interface CourseWishes {
  readonly retries?: number | undefined;
  /** Names of models; they come before those of the settings. */
  readonly fallbacks?: readonly string[] | undefined;
  readonly hasNoFallbacks?: boolean | undefined;
}

/** What a call that fails may still try. One for each such call; bounded in every direction. */
export class Course {
  readonly #settings: RoutingSettings;
  readonly #wishes: CourseWishes;
  readonly #seen = new Set<string>();
  #pending: readonly string[] = [];
  #hasAsked = false;
  /** Of the present model. */
  #retries = 0;
  attemptedRetries = 0;
  attemptedFallbacks = 0;

  /** @param model that was asked for */
  constructor(settings: RoutingSettings, wishes: CourseWishes, model: string) {
    this.#settings = settings;
    this.#wishes = wishes;
    this.#seen.add(model);
  }

  /** Whether the same model may be tried once more. @param own further attempts that the deployment allows */
  mayRetry({ kind }: Failure, own: number | undefined): boolean {
    return this.#retries < Math.min(this.#retriesFor(kind, own), mostRetries);
  }

  retry(): void {
    this.#retries++;
    this.attemptedRetries++;
  }

  /**
   * How long the same deployment is left alone: what its upstream asks for, else half a second, twice as long each time,
   * and a quarter of it left to chance, so that those who failed together do not come back together.
   */
  waitMs({ retryAfterMs = 0 }: Failure, random: () => number): number {
    const backOffMs = Math.min(8_000, 500 * 2 ** Math.max(0, this.#retries - 1)) * (1 - random() / 4);
    return Math.max(retryAfterMs > 0 ? retryAfterMs : backOffMs, this.#settings.retryAfterMs);
  }

  /** The model to try after this one has failed for good. @param names under which settings may speak of it */
  nextModel({ kind }: Failure, names: readonly string[]): string | undefined {
    if (this.#wishes.hasNoFallbacks) return undefined;
    const further = this.#fallbacksOf(kind, names).filter((name) => !this.#seen.has(name));
    this.#pending = [...new Set([...further, ...this.#pending])];
    const [next, ...rest] = this.#pending;
    const most = Math.min(this.#settings.maxFallbacks, mostFallbacks);
    if (next === undefined || this.attemptedFallbacks >= most) return undefined;
    this.#pending = rest;
    this.#seen.add(next);
    return next;
  }

  /** An attempt is made at a model that `nextModel` named: those that were passed over do not count. */
  fallBack(): void {
    this.attemptedFallbacks++;
    this.#retries = 0;
  }

  #retriesFor(kind: FailureKind, own: number | undefined): number {
    const { retries, retryPolicy } = this.#settings;
    if (meanings[kind].retry === 'nowhere') return retryPolicy[kind] ?? 0;
    return this.#wishes.retries ?? retryPolicy[kind] ?? own ?? retries;
  }

  /** The client's own come once, before all others: it has said where it wants to go. */
  #fallbacksOf(kind: FailureKind, names: readonly string[]): readonly string[] {
    const { fallbacks, contextWindowFallbacks, contentPolicyFallbacks } = this.#settings;
    const wished = this.#hasAsked ? undefined : this.#wishes.fallbacks;
    this.#hasAsked = true;
    if (wished) return wished;
    const special =
      (kind === 'context_window' && listOf(contextWindowFallbacks, names)) ||
      (kind === 'content_policy' && listOf(contentPolicyFallbacks, names));
    return special || listOf(fallbacks, names) || [];
  }
}

function listOf(fallbacks: Fallbacks, names: readonly string[]): readonly string[] | undefined {
  for (const name of [...names, '*']) {
    const list = fallbacks.get(name);
    if (list) return list;
  }
  return undefined;
}
