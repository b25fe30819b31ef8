import type { App, Services } from './app.ts';
import { SCHEMA } from './db/schema.ts';
import type { Provisioning } from './jwt/provisioning.ts';
import { refused } from './jwt/identity.ts';
import { GatewayError } from './kernel/errors.ts';

/**
 * Makes what the settings want to be there for the bearer of a token, in one transaction, in the name of the token. Two
 * requests with new tokens of one user may come at once: what the other has made meanwhile is there, and that is all.
 */
export async function provision(app: App, wanted: Provisioning): Promise<void> {
  const { issuer, subject } = wanted;
  const actor = { type: 'operator', name: `jwt ${issuer} ${subject}`, via: 'daemon' } as const;
  const act = () => app.act(actor, (services) => make(services, wanted));
  await act().catch((thrown: unknown) => {
    if (!isTaken(thrown)) throw thrown;
    return act().catch(refuseTaken);
  });
}

/** What is in the way is there to stay, such as another user with the address: no fault of the request. */
function refuseTaken(thrown: unknown): never {
  if (!isTaken(thrown)) throw thrown;
  throw refused(`whom it stands for cannot be made: ${GatewayError.from(thrown).message}`);
}

const isTaken = (thrown: unknown): boolean => {
  const error = GatewayError.from(thrown);
  return error.kind === 'conflict' || error.kind === 'invalid';
};

async function make(services: Services, wanted: Provisioning): Promise<void> {
  const { users, teams, keys, mappings } = services;
  const { newUser, newTeams = [], newRole, membership, newKey } = wanted;
  for (const teamId of newTeams) if (!(await isThere(services, 'teams', teamId))) await teams.create({ teamId });
  if (newUser && !(await isThere(services, 'users', newUser.userId))) {
    const { userId, userEmail, role } = newUser;
    await users.create({ userId, ...(userEmail !== undefined && { userEmail }), ...(role && { userRole: role }) });
  }
  if (newRole) await users.update(newRole.userId, { userRole: newRole.role });
  if (membership) await keepMemberships(services, membership);
  if (newKey && !(await mappings.find(newKey.claim, newKey.value, wanted.issuer))) {
    const { claim, value, ...owners } = newKey;
    const { key } = await keys.generate(owners);
    await mappings.create({ claimName: claim, claimValue: value, issuer: wanted.issuer, key: key.id });
  }
}

async function isThere({ em }: Services, table: 'users' | 'teams', id: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>(`select 1 from ${SCHEMA}.${table} where id = ?`, [id]);
  return rows.length > 0;
}

/** As the operations for members do it: keys that somebody holds in a team go when they leave it. */
async function keepMemberships(
  { users, teams, members, keys }: Services,
  { userId, join, leave }: NonNullable<Provisioning['membership']>,
): Promise<void> {
  const user = await users.existing({ userId, userEmail: undefined });
  for (const id of join) {
    const { team } = await teams.lock(id, 'manager');
    if (!(await teams.isMember(team.id, userId))) await members.add(team, user);
  }
  for (const id of leave) {
    const { team } = await teams.lock(id, 'manager');
    if (!(await teams.isMember(team.id, userId))) continue;
    await members.remove(team, await members.named(team, { userId, userEmail: undefined }));
    await keys.removeOf({ teamId: team.id, userId });
  }
}
