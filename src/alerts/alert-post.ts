import type { Post } from '../callbacks/post.ts';
import type { AlertWebhook } from './alert-settings.ts';
import { signedHeaders } from './signature.ts';

/** What has become of one attempt. */
export interface Attempted {
  readonly outcome: 'sent' | 'again' | 'refused';
  readonly status: number | undefined;
  readonly error: string | undefined;
  /** What the receiver asks to be waited. */
  readonly afterMs: number | undefined;
}

/** Sends a message once. Never throws: there is always something to be said of it. */
export async function postAlert(
  post: Post,
  webhook: AlertWebhook,
  { id, body, timeoutMs, signal }: { id: string; body: string; timeoutMs: number; signal?: AbortSignal },
): Promise<Attempted> {
  const at = Math.floor(Date.now() / 1_000);
  const headers = { 'content-type': 'application/json', ...signedHeaders({ id, at, body }, webhook.secrets) };
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const { status, retryAfterMs: afterMs } = await post(webhook, {
      headers,
      body,
      signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
    });
    if (status >= 200 && status <= 299) return { outcome: 'sent', status, error: undefined, afterMs };
    // Gone: whoever says so wants no more of it. Anything else may be a mistake that somebody mends.
    return { outcome: status === 410 ? 'refused' : 'again', status, error: `HTTP ${status}`, afterMs };
  } catch (thrown) {
    return { outcome: 'again', status: undefined, error: reasonOf(thrown), afterMs: undefined };
  }
}

/** What went wrong, without the URL in it, which may hold a secret. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'no answer';
  if (thrown.name === 'TimeoutError' || thrown.name === 'AbortError') return 'no answer in time';
  if ('code' in thrown && thrown.code === 'EGRESS_ADDRESS_REFUSED') {
    return 'the address is not public: allow_private_network of the webhook says where that is meant';
  }
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'no answer';
}
