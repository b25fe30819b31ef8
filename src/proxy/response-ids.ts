import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';

/** A response that an upstream keeps. */
export interface KeptResponse {
  /** The name its model was asked for by. */
  readonly model: string;
  readonly deploymentId: string;
  /** What the upstream calls it. */
  readonly upstreamId: string;
}

type Owner = Pick<Principal, 'kind' | 'keyId' | 'hash' | 'userId' | 'teamId'>;

const prefix = 'resp_';
const macBytes = 16;
const longestId = 2_048;

/**
 * The names under which clients know the responses that upstreams keep. One holds where its response is, and a MAC over
 * that and over whose it is: all tenants share the operator's account at a provider, so whoever could name another's
 * response would read it. Every daemon with the same secret makes the same name of the same response.
 */
export class ResponseIds {
  readonly #key: Buffer;
  readonly #keys: readonly Buffer[];

  /**
   * @param secret known to every daemon of one database and to nobody else
   * @param others what some of those daemons may have in its place, while it is being changed
   */
  constructor(secret: Buffer | string, others: readonly (Buffer | string)[] = []) {
    this.#key = keyFrom(secret);
    this.#keys = [this.#key, ...others.map(keyFrom)];
  }

  seal({ model, deploymentId, upstreamId }: KeptResponse, owner: Owner): string {
    const content = Buffer.from(JSON.stringify([deploymentId, model, upstreamId]));
    return prefix + Buffer.concat([macOf(this.#key, content, owner), content]).toString('base64url');
  }

  /** Whether it was made here, for this owner: for others it is as unknown as one that never was. */
  isOwn(id: string, owner: Owner): boolean {
    const bytes = bytesOf(id);
    if (!bytes) return false;
    const mac = bytes.subarray(0, macBytes);
    const content = bytes.subarray(macBytes);
    return this.#keys.some((key) => timingSafeEqual(mac, macOf(key, content, owner)));
  }
}

const keyFrom = (secret: Buffer | string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', 'gatewayctl response-id', 32));

function macOf(key: Buffer, content: Buffer, owner: Owner): Buffer {
  const whose = Buffer.from(ownerName(owner));
  // The length keeps what is the owner's apart from what is not.
  const mac = createHmac('sha256', key).update(`${whose.length}:`).update(whose).update(content);
  return mac.digest().subarray(0, macBytes);
}

/** A user in a team; a key's own where it has neither, so that two keys of nobody are two tenants. */
function ownerName({ kind, keyId, hash, userId, teamId }: Owner): string {
  const isNobody = userId === null && teamId === null;
  return JSON.stringify(isNobody ? [kind, kind === 'jwt' ? hash : keyId] : ['member', userId, teamId]);
}

function bytesOf(id: string): Buffer | undefined {
  if (!id.startsWith(prefix) || id.length > longestId) return undefined;
  const text = id.slice(prefix.length);
  const bytes = Buffer.from(text, 'base64url');
  // What the decoder skips over would make many names of one.
  return bytes.length > macBytes && bytes.toString('base64url') === text ? bytes : undefined;
}

/** What a name says. To be believed only once it `isOwn`. */
export function readResponseId(id: string): KeptResponse | undefined {
  const bytes = bytesOf(id);
  if (!bytes) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(bytes.subarray(macBytes).toString());
  } catch {
    // Somebody else's name for something.
    return undefined;
  }
  if (!Array.isArray(content)) return undefined;
  const [deploymentId, model, upstreamId]: unknown[] = content;
  const isWhole = typeof deploymentId === 'string' && typeof model === 'string' && typeof upstreamId === 'string';
  return isWhole ? { deploymentId, model, upstreamId } : undefined;
}

const shown = (id: string): string => (id.length > 200 ? `${id.slice(0, 200)}…` : id);

/** OpenAI's answers to somebody who names a response that is not there. */
export const unknownResponse = (id: string): GatewayError =>
  new GatewayError('notFound', 'response_not_found', `Response with id '${shown(id)}' not found.`, {
    param: 'response_id',
    hint: 'A response is known to the key, user or team it was made for, by the id that this gateway gave it.',
  });

export const unknownPrevious = (id: string): GatewayError =>
  new GatewayError('invalid', 'previous_response_not_found', `Previous response with id '${shown(id)}' not found.`, {
    param: 'previous_response_id',
    hint: 'A response is known to the key, user or team it was made for, by the id that this gateway gave it.',
  });
