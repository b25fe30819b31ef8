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

/** What upstreams keep, with how the names of its kind begin, and what the key of their MACs is derived for. */
const kinds = {
  response: ['resp_', 'gatewayctl response-id'],
  /** A file whose lines were looked at, so that they can be calls. Its names begin as those of other files do. */
  batchInput: ['file-batch-', 'gatewayctl batch-input-id'],
  file: ['file-', 'gatewayctl file-id'],
  batch: ['batch_', 'gatewayctl batch-id'],
} as const;
export type KeptKind = keyof typeof kinds;

const macBytes = 16;
const longestId = 2_048;

/**
 * The names under which clients know the responses that upstreams keep. One holds where its response is, and a MAC over
 * that and over whose it is: all tenants share the operator's account at a provider, so whoever could name another's
 * response would read it. Every daemon with the same secret makes the same name of the same response.
 */
export class ResponseIds {
  /** Of each kind, the one that seals first: a file's name is none of a batch. */
  readonly #keys: Readonly<Record<KeptKind, readonly Buffer[]>>;

  /**
   * @param secret known to every daemon of one database and to nobody else
   * @param others what some of those daemons may have in its place, while it is being changed
   */
  constructor(secret: Buffer | string, others: readonly (Buffer | string)[] = []) {
    const secrets = [secret, ...others];
    const keysOf = (kind: KeptKind): Buffer[] => secrets.map((each) => keyFrom(each, kinds[kind][1]));
    this.#keys = {
      response: keysOf('response'),
      batchInput: keysOf('batchInput'),
      file: keysOf('file'),
      batch: keysOf('batch'),
    };
  }

  seal({ model, deploymentId, upstreamId }: KeptResponse, owner: Owner, kind: KeptKind = 'response'): string {
    const content = Buffer.from(JSON.stringify([deploymentId, model, upstreamId]));
    const [key = noKey] = this.#keys[kind];
    return kinds[kind][0] + Buffer.concat([macOf(key, content, owner), content]).toString('base64url');
  }

  /** Whether it was made here, for this owner: for others it is as unknown as one that never was. */
  isOwn(id: string, owner: Owner): boolean {
    const kind = kindOf(id);
    const bytes = bytesOf(id);
    if (!kind || !bytes) return false;
    const mac = bytes.subarray(0, macBytes);
    const content = bytes.subarray(macBytes);
    return this.#keys[kind].some((key) => timingSafeEqual(mac, macOf(key, content, owner)));
  }
}

const noKey = Buffer.alloc(0);

const keyFrom = (secret: Buffer | string, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', purpose, 32));

const kindOf = (id: string): KeptKind | undefined =>
  (['response', 'batchInput', 'file', 'batch'] as const).find((kind) => id.startsWith(kinds[kind][0]));

function macOf(key: Buffer, content: Buffer, owner: Owner): Buffer {
  const whose = Buffer.from(ownerName(owner));
  // The length keeps what is the owner's apart from what is not.
  const mac = createHmac('sha256', key).update(`${whose.length}:`).update(whose).update(content);
  return mac.digest().subarray(0, macBytes);
}

/** A user in a team; a key's own where it has neither, so that two keys of nobody are two tenants. */
export function ownerName({ kind, keyId, hash, userId, teamId }: Owner): string {
  const isNobody = userId === null && teamId === null;
  return JSON.stringify(isNobody ? [kind, kind === 'jwt' ? hash : keyId] : ['member', userId, teamId]);
}

function bytesOf(id: string): Buffer | undefined {
  const kind = kindOf(id);
  if (!kind || id.length > longestId) return undefined;
  const text = id.slice(kinds[kind][0].length);
  const bytes = Buffer.from(text, 'base64url');
  // What the decoder skips over would make many names of one.
  return bytes.length > macBytes && bytes.toString('base64url') === text ? bytes : undefined;
}

/** What a name of a kind says. To be believed only once it `isOwn`. */
export function readResponseId(id: string, kind: KeptKind = 'response'): KeptResponse | undefined {
  const bytes = kindOf(id) === kind ? bytesOf(id) : undefined;
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

/** OpenAI's answer to somebody who names a file or a batch that is not there. */
export const unknownKept =
  (param: string) =>
  (id: string): GatewayError =>
    new GatewayError('notFound', 'not_found_error', `No such ${param.split('_').at(-2) ?? 'object'}: '${shown(id)}'`, {
      param,
      hint: 'A file or a batch is known to the key, user or team it was made for, by the id that this gateway gave it.',
    });

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
