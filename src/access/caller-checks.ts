import { notAllowedFrom } from '../kernel/client.ts';
import { Networks } from '../kernel/networks.ts';
import type { Caller, Check, Denial, Rule } from './checks.ts';
import type { Principal } from './principal.ts';

const refused = (rule: Rule, type: string, message: () => string): Denial => ({
  rule,
  kind: 'unauthenticated',
  type,
  message: () => `Authentication Error, ${message()}`,
});

/** LiteLLM's words; it says 401 of all of them. */
const blocked = (
  owner: 'key' | 'team' | 'user' | 'organization',
  isBlocked: (principal: Principal) => boolean,
  { id, says }: { id: (principal: Principal) => string | null; says: (id: string | null) => string },
): Check<Caller> => ({
  rule: `${owner}.blocked`,
  deny: ({ principal }) =>
    isBlocked(principal) ? refused(`${owner}.blocked`, `${owner}_blocked`, () => says(id(principal))) : undefined,
  basis: ({ principal }) => id(principal) ?? undefined,
});

/**
 * What is looked at before a request's body is read. A caller who is not let in learns no more of a call than that.
 */
export const callerChecks: readonly Check<Caller>[] = [
  blocked('key', (principal) => principal.blocked, {
    id: ({ keyId }) => keyId,
    says: () => "Key is blocked. Update via `/key/unblock` if you're an admin.",
  }),
  blocked('team', ({ teamBlocked }) => teamBlocked, {
    id: ({ teamId }) => teamId,
    says: (id) => `Team=${id} is blocked. Update via \`/team/unblock\` if you're an admin.`,
  }),
  blocked('user', ({ userBlocked }) => userBlocked, {
    id: ({ userId }) => userId,
    says: (id) => `User=${id} is blocked. Update via \`/user/unblock\` if you're an admin.`,
  }),
  blocked('organization', ({ organizationBlocked }) => organizationBlocked, {
    id: ({ organizationId }) => organizationId,
    says: (id) => `Organization=${id} is blocked.`,
  }),
  {
    rule: 'key.expiry',
    deny: ({ principal: { expiresAt }, now }) =>
      expiresAt !== null && expiresAt <= now.getTime() ? expired(expiresAt, now) : undefined,
    basis: ({ principal: { expiresAt } }) =>
      expiresAt === null ? 'never expires' : `expires ${new Date(expiresAt).toISOString()}`,
  },
  {
    rule: 'key.address',
    deny: ({ principal: { allowedIps }, address }) =>
      allowedIps.length === 0 || isWithin(allowedIps, address()) ? undefined : elsewhere(address()),
    basis: ({ principal: { allowedIps }, address }) =>
      allowedIps.length === 0 ? undefined : `${address()}, of ${allowedIps.join(', ')}`,
  },
];

const compiled = new WeakMap<readonly string[], Networks>();

/** Made once for each snapshot of a key. */
function networksOf(texts: readonly string[]): Networks {
  let networks = compiled.get(texts);
  if (!networks) compiled.set(texts, (networks = new Networks(texts)));
  return networks;
}

/** The admin socket has no address, and is the operator's. */
const isWithin = (allowedIps: readonly string[], address: string): boolean =>
  address === '' || networksOf(allowedIps).has(address);

const elsewhere = (address: string): Denial => {
  const { kind, type, message } = notAllowedFrom(address);
  return { rule: 'key.address', kind, type, message: () => message };
};

const expired = (expiresAt: number, now: Date): Denial => ({
  rule: 'key.expiry',
  kind: 'unauthenticated',
  type: 'expired_key',
  message: () =>
    `Authentication Error - Expired Key. Key Expiry time ${new Date(expiresAt).toISOString()} and current time ${now.toISOString()}`,
});
