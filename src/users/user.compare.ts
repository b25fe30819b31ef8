import { z } from 'zod';
import { type Comparison, comparing, isSameValue } from '../kernel/existing.ts';
import { text } from '../kernel/fields.ts';
import type { Needs } from './user.answers.ts';

const isOf = (userId: unknown): userId is string => typeof userId === 'string';

/** What is said of a new user and stands in other objects than the user. */
export const userComparisons: Readonly<Record<string, Comparison<Needs>>> = {
  user_email: comparing(({ wanted, found }) => text(wanted).toLowerCase() === text(found['user_email']).toLowerCase()),
  teams: async ({ field, wanted, found, services: { teams } }) => {
    // Those the caller may know of; see `describeAlone`.
    const is = found['teams'];
    const names = z.array(z.union([z.string(), z.looseObject({ team_id: z.string() })])).parse(wanted);
    const asked = await Promise.all(
      names.map(async (each) => (await teams.get(typeof each === 'string' ? each : each.team_id)).id),
    );
    return isSameValue(asked, is) ? [] : [{ field, wanted, is }];
  },
  team_id: async ({ field, wanted, found, services: { teams } }) => {
    if (wanted === null) return [];
    const team = await teams.get(text(wanted));
    return (await teams.isMember(team.id, text(found['user_id']))) ? [] : [{ field, wanted, is: 'no member' }];
  },
  organizations: async ({ field, wanted, found, services: { users, authority } }) => {
    const all = await users.organizationsOf(text(found['user_id']));
    const own = authority.seesAll ? all : await authority.administeredOrganizations();
    const is = all.filter((organization) => own.includes(organization));
    return isSameValue(wanted, is) ? [] : [{ field, wanted, is }];
  },
  // A key is made with the user and not later.
  auto_create_key: () => [],
  duration: () => [],
  key_alias: async ({ field, wanted, found, services: { keys, authority } }) => {
    const { user_id: userId } = found;
    if (wanted === null) return [];
    const aliases = isOf(userId) ? (await keys.of({ userId }, 1_000)).map(({ alias }) => alias ?? null) : [];
    if (aliases.includes(text(wanted))) return [];
    return [authority.seesAll ? { field, wanted, is: aliases } : { field, wanted }];
  },
};
