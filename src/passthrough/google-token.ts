import type { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import { collect, type Sender } from './collect.ts';
import { baseOf } from './upstream-target.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';
/** Tokens live for an hour; one that is about to end is not begun with. */
const renewMs = 300_000;
const mostTokenBytes = 64 * 1024;

export interface Account {
  /** The JSON of its file. */
  readonly read: () => Promise<string>;
  /** Whether who has given it may have tokens fetched from an address that is not public. */
  readonly isPrivate: boolean;
  /** What to say of one that cannot be used. */
  readonly unusable: (what: string) => GatewayError;
  /** Told of what nobody else is to have: the account's key, and each token. */
  readonly learned: (secret: string) => void;
}

/** Access tokens for a service account, each fetched when one is needed and kept until it is nearly over. */
export function googleTokens(account: Account): (send: Sender) => Promise<string> {
  let kept: Promise<{ readonly token: string; readonly untilMs: number }> | undefined;
  return async (send) => {
    const found = await kept?.catch(() => undefined);
    if (found && Date.now() < found.untilMs) return found.token;
    kept = fetchToken(account, send);
    return (await kept).token;
  };
}

async function fetchToken({ read, isPrivate, unusable, learned }: Account, send: Sender) {
  const account = readAccount(await read(), unusable);
  learned(account.privateKey);
  const { importPKCS8, SignJWT } = await import('jose');
  const now = Math.floor(Date.now() / 1_000);
  const assertion = await new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', ...(account.keyId !== undefined && { kid: account.keyId }) })
    .setIssuer(account.email)
    .setAudience(account.tokenUri)
    .setIssuedAt(now)
    .setExpirationTime(now + 3_600)
    .sign(await importPKCS8(account.privateKey, 'RS256'));
  const base = baseOf(account.tokenUri);
  if (!base) throw unusable('its token_uri is no plain URL');
  const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
  const { status, body } = await collect(send, mostTokenBytes, {
    origin: base.origin,
    path: base.path,
    method: 'POST',
    headers: ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json'],
    body: Buffer.from(String(form)),
    isPrivate,
  });
  const answer = parse(body.toString());
  const token = isRecord(answer) ? answer['access_token'] : undefined;
  const lives = isRecord(answer) ? Number(answer['expires_in'] ?? 3_600) : 0;
  if (status !== 200 || typeof token !== 'string') throw unusable(`Google answered with ${status}`);
  learned(token);
  return { token, untilMs: Date.now() + lives * 1_000 - renewMs };
}

function readAccount(json: string, unusable: Account['unusable']) {
  const given = parse(json);
  if (!isRecord(given)) throw unusable('it is not JSON');
  const { type, client_email: email, private_key: privateKey, private_key_id: keyId, token_uri: tokenUri } = given;
  if (type !== 'service_account' || typeof email !== 'string' || typeof privateKey !== 'string') {
    throw unusable('only a service account is taken');
  }
  return {
    email,
    privateKey,
    keyId: typeof keyId === 'string' ? keyId : undefined,
    tokenUri: typeof tokenUri === 'string' ? tokenUri : 'https://oauth2.googleapis.com/token',
  };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Whoever asked says what is wrong with it: it is no object.
    return undefined;
  }
}
