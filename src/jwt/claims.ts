import type { ClaimFields, ClaimPath } from '../config/jwt-settings.ts';
import { GatewayError } from '../kernel/errors.ts';

/** What a token says of its bearer, where its issuer's settings look for it. */
export interface Identity {
  readonly subject: string;
  readonly userId: string | undefined;
  readonly userEmail: string | undefined;
  /** Whether there is an address that the provider does not say to be confirmed. */
  readonly hasUnconfirmedEmail: boolean;
  /** Undefined when the token has no such claim. */
  readonly userRoles: readonly string[] | undefined;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly teamId: string | undefined;
  readonly teamIds: readonly string[] | undefined;
  readonly teamAlias: string | undefined;
  readonly organizationId: string | undefined;
  readonly organizationAlias: string | undefined;
  readonly customer: string | undefined;
  readonly objectId: string | undefined;
  /** The claim that a virtual key is mapped to, by its path. */
  readonly virtualKey: { readonly claim: string; readonly value: string } | undefined;
}

type Claims = Readonly<Record<string, unknown>>;

/** As long as the names of the database may be, and as many as fit into any token. */
const CHARACTERS_AT_MOST = 255;
const ITEMS_AT_MOST = 1_000;

/** @throws GatewayError 403 for a claim that can be nobody's name: taken in part, it could be somebody else's */
export function readIdentity(claims: Claims, fields: ClaimFields): Identity {
  const name = (path: ClaimPath | undefined) => (path ? nameAt(claims, path) : undefined);
  const names = (path: ClaimPath | undefined) => (path ? namesAt(claims, path) : undefined);
  const virtualKey = name(fields.virtualKey);
  // Providers say of an address that nobody has confirmed it; whoever signs up there could choose somebody else's. Some
  // say it in a text.
  const said = claims['email_verified'];
  const isConfirmed = said === undefined || said === true || said === 'true';
  const userEmail = name(fields.userEmail);
  return {
    subject: nameAt(claims, ['sub']) ?? '',
    userId: name(fields.userId),
    userEmail: isConfirmed ? userEmail : undefined,
    hasUnconfirmedEmail: !isConfirmed && userEmail !== undefined,
    userRoles: names(fields.userRoles),
    roles: names(fields.roles) ?? [],
    scopes: scopesOf(claims),
    teamId: name(fields.teamId),
    teamIds: names(fields.teamIds),
    teamAlias: name(fields.teamAlias),
    organizationId: name(fields.organizationId),
    organizationAlias: name(fields.organizationAlias),
    customer: name(fields.endUserId),
    objectId: name(fields.objectId),
    virtualKey:
      fields.virtualKey && virtualKey !== undefined
        ? { claim: writtenPath(fields.virtualKey), value: virtualKey }
        : undefined,
  };
}

/** As it stands in the configuration. */
export const writtenPath = (path: ClaimPath): string =>
  path.map((name) => name.replaceAll('.', String.raw`\.`)).join('.');

/** Own members only: `constructor` and `__proto__` are on every object, and name nobody. */
export function valueAt(claims: Claims, path: ClaimPath): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = Reflect.get(value, name);
  }
  return value;
}

/** Of a list the first, as in LiteLLM. */
function nameAt(claims: Claims, path: ClaimPath): string | undefined {
  const value = valueAt(claims, path);
  return asName(Array.isArray(value) ? (value as unknown[])[0] : value, path);
}

function namesAt(claims: Claims, path: ClaimPath): readonly string[] | undefined {
  const value = valueAt(claims, path);
  if (value === undefined || value === null) return undefined;
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (items.length > ITEMS_AT_MOST) throw unusable(path, `has more than ${ITEMS_AT_MOST} members`);
  return [...new Set(items.map((item) => asName(item, path)).filter((item) => item !== undefined))];
}

/** Of RFC 8693 a text with blanks; some providers write a list, and some call it `scp`. */
function scopesOf(claims: Claims): readonly string[] {
  const given = valueAt(claims, ['scope']) ?? valueAt(claims, ['scp']);
  const texts: readonly unknown[] = Array.isArray(given) ? given : [given];
  return texts.flatMap((text) => (typeof text === 'string' ? text.split(' ').filter(Boolean) : []));
}

function asName(value: unknown, path: ClaimPath): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== 'string') throw unusable(path, 'is neither a text nor a whole number');
  if (text.length > CHARACTERS_AT_MOST) throw unusable(path, `is longer than ${CHARACTERS_AT_MOST} characters`);
  if (!/^\P{Cc}+$/u.test(text) || !text.isWellFormed() || text.trim() !== text) {
    throw unusable(path, 'has characters that no name has');
  }
  return text;
}

const unusable = (path: ClaimPath, why: string): GatewayError => {
  const reason = `the claim ${writtenPath(path)} ${why}`;
  return new GatewayError('forbidden', 'auth_error', `Authentication Error, ${reason}`, { reason });
};
