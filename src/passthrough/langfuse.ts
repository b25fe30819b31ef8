import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { firstOf, requireBase, type Variable } from './provider-targets.ts';
import { deploymentOf, type Target } from './target.ts';

const publicKeyFrom = ['LANGFUSE_PUBLIC_KEY'];
const secretKeyFrom = ['LANGFUSE_SECRET_KEY'];
const hostFrom = ['LANGFUSE_HOST', 'LANGFUSE_BASE_URL'];

/** Langfuse, to which clients send traces: no model is called there, and nothing is paid for it. */
export function langfuseTarget(variable: Variable): Target {
  const publicKey = firstOf(publicKeyFrom, variable);
  const secretKey = firstOf(secretKeyFrom, variable);
  const given = firstOf(hostFrom, variable) ?? 'https://cloud.langfuse.com';
  const host = /^https?:\/\//.test(given) ? given : `https://${given}`;
  const name = 'langfuse';
  const pair = Buffer.from(`${publicKey}:${secretKey}`).toString('base64');
  const deployment = deploymentOf({
    name,
    provider: name,
    apiKey: secretKey,
    otherSecrets: [pair],
    costPerRequest: 0,
  });
  return {
    name,
    baseFor: () => {
      if (publicKey !== undefined && secretKey !== undefined) return requireBase(host, name, hostFrom);
      throw new GatewayError('upstream', 'upstream_misconfigured', 'The pass-through to langfuse has no credentials', {
        hint: 'Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY in the environment of the daemon.',
      });
    },
    dialect: undefined,
    shownBase: '',
    isPrivate: firstOf(hostFrom, variable) !== undefined,
    grantedAs: undefined,
    deployment,
    free: deployment,
    headers: ['authorization', `Basic ${pair}`, 'x-langfuse-public-key', publicKey ?? ''],
    forwards: [
      'x-langfuse-sdk-name',
      'x-langfuse-sdk-version',
      'x-langfuse-sdk-variant',
      'x-langfuse-ingestion-version',
    ],
    query: {},
    restOf: (rest) => rest,
    timeoutMs: undefined,
    // Langfuse's clients write the public key into what they send, and it may be the caller's credential.
    insteadOfCredential: publicKey,
  };
}

const basic = /^basic\s+([A-Za-z0-9+/=]+)$/i;

/** What can be a credential of this gateway: a virtual key, or a JWT. Langfuse's own keys begin with `sk-lf-` and `pk-lf-`. */
const looksOurs = (text: string): boolean =>
  (text.startsWith('sk-') && !text.startsWith('sk-lf-')) || /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);

/**
 * Langfuse's clients send two keys as Basic auth; one of them is the caller's credential here, whichever it is. LiteLLM
 * looks at the secret one, so that is meant where neither looks like one of ours.
 *
 * @throws GatewayError 401 where both are credentials, and not the same
 */
export function readBasicCredential({ headers }: IncomingMessage): void {
  const encoded = basic.exec(headers.authorization ?? '')?.[1];
  if (encoded === undefined) return;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  const parts = colon === -1 ? [text] : [text.slice(0, colon), text.slice(colon + 1)];
  const [first, other] = [...new Set(parts.filter(looksOurs))];
  if (other !== undefined) {
    throw new GatewayError('unauthenticated', 'auth_error', 'Authentication Error, More than one api key passed in.', {
      hint: 'Give the virtual key as one of Langfuse’s two keys, and anything else as the other.',
    });
  }
  headers.authorization = `Bearer ${first ?? parts.at(-1) ?? ''}`;
}
