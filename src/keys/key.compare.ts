import { after, parseDuration } from '../kernel/duration.ts';
import { type Comparison, comparing, isSameValue } from '../kernel/existing.ts';
import { routesOfKeyType } from '../kernel/route-groups.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';

const isKeyType = (name: string): name is keyof typeof routesOfKeyType => Object.hasOwn(routesOfKeyType, name);

/** When a budget begins anew follows from the clock. */
const withoutResets = (windows: unknown): unknown =>
  Array.isArray(windows) ? windows.map((each: object) => Object.assign({}, each, { reset_at: undefined })) : windows;

export interface Needs {
  teams: TeamService;
  users: UserService;
}

const moment = (value: unknown): number => (typeof value === 'string' ? Date.parse(value) : Number.NaN);

/** The same moment but for less than a second: clocks are read twice when a key is made. */
const isSameMoment = (a: number, b: number): boolean => Math.abs(a - b) < 1_000;

/** Fields in which a wanted key and the one there is are not simply compared by value. */
export const keyComparisons: Readonly<Record<string, Comparison<Needs>>> = {
  team_id: comparing(async ({ wanted, found, services: { teams } }) =>
    typeof wanted === 'string' ? (await teams.get(wanted)).id === found['team_id'] : found['team_id'] === null,
  ),
  user_id: comparing(async ({ wanted, found, services: { users } }) => {
    const is = found['user_id'];
    if (wanted === is || typeof wanted !== 'string' || typeof is !== 'string') return wanted === is;
    return wanted.includes('@') && (await users.get(is)).email?.toLowerCase() === wanted.toLowerCase();
  }),
  // As it was when the key was made: the same line run a week later means the same key, and not one that lives longer.
  duration: comparing(
    ({ wanted, found }) => {
      const length = typeof wanted === 'string' ? parseDuration(wanted) : undefined;
      if (!length) return found['expires'] === null;
      return isSameMoment(after(new Date(moment(found['created_at'])), length).getTime(), moment(found['expires']));
    },
    { member: 'expires' },
  ),
  // A type is the list of routes it stands for; LiteLLM's default stands aside where routes are given too.
  key_type: comparing(
    ({ wanted, found, given }) =>
      (wanted === 'default' && Array.isArray(given['allowed_routes'])) ||
      isSameValue(
        routesOfKeyType[typeof wanted === 'string' && isKeyType(wanted) ? wanted : 'default'],
        found['allowed_routes'],
      ),
    { member: 'allowed_routes' },
  ),
  budget_limits: comparing(({ wanted, found }) =>
    isSameValue(withoutResets(wanted), withoutResets(found['budget_limits'])),
  ),
  expires: comparing(({ wanted, found }) => isSameMoment(moment(wanted), moment(found['expires']))),
  // `node:crypto` is loaded here because a command line reads this file and must not pay for it.
  key: comparing(
    async ({ wanted, found }) => {
      if (typeof wanted !== 'string') return true;
      const { hashSecret } = await import('../kernel/secret.ts');
      return hashSecret(wanted) === found['token'];
    },
    { isSecret: true },
  ),
};
