import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { ResponseCache } from './response-cache.ts';

/** What an administrator asks of the cache, as far as it can be asked where the operation runs. */
export type AskedCache = Pick<ResponseCache, 'ping'> & { readonly settings: Pick<ResponseCache['settings'], 'type'> };

/** The response cache for whoever administers it. Daemons hear of what they are to forget as of any change. */
export class CacheService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #cache: AskedCache | undefined;

  constructor(work: Work, audit: AuditService, cache: AskedCache | undefined) {
    this.#work = work;
    this.#audit = audit;
    this.#cache = cache;
  }

  /** Says where answers are kept. @throws GatewayError 503 when that does not answer, or nothing is kept */
  async ping(): Promise<'local' | 'redis'> {
    const cache = this.#cache;
    if (!cache) throw notCached();
    await cache.ping();
    return cache.settings.type;
  }

  /** Whether answers are cached is each daemon's own to know: beside none of them this is no error. */
  async forget(names: readonly string[] | 'all'): Promise<void> {
    await announce(this.#work, { entity: 'response_cache', names });
    for (const id of names === 'all' ? [names] : names) {
      this.#audit.record({ action: 'deleted', object: 'cached_answer', id });
    }
  }
}

const notCached = (): GatewayError =>
  new GatewayError('unavailable', 'cache_ping_error', 'Answers are not cached', {
    hint: 'Set litellm_settings.cache: true, and see cache_params.',
  });
