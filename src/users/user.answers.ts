import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { GatewayError } from '../kernel/errors.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import type { Key } from '../keys/key.entity.ts';
import type { KeyService } from '../keys/key.service.ts';
import { keyInfo } from '../keys/key.wire.ts';
import type { MemberService } from '../teams/member.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import { describeTeam, membershipInfo, teamInfo } from '../teams/team.wire.ts';
import type { User } from './user.entity.ts';
import type { UserService } from './user.service.ts';
import { userInfo } from './user.wire.ts';

export interface Needs {
  users: UserService;
  teams: TeamService;
  members: MemberService;
  keys: KeyService;
  authority: Authority;
  now: Date;
}

const ROWS_AT_MOST = 1_000;

const whichUser = () =>
  new GatewayError('invalid', 'invalid_request_error', 'Which user? You did not come with the key of one', {
    param: 'user_id',
    hint: 'Name a user by its id or address.',
  });

/**
 * The user that was asked for, and what of it the caller sees: whoever looks from an organization sees what lies in that;
 * the user itself, and who sees all, see everything.
 */
async function shownTo({ users, authority }: Needs, named: string | undefined) {
  const asked = named ?? authority.userId;
  if (asked === null) throw whichUser();
  const user = await users.get(asked);
  const { scope, userId } = authority;
  const isBound = scope.teamId !== null || scope.organizationId !== null;
  const isSelf = user.id === userId;
  const isWhole = authority.seesAll || (isSelf && !isBound);
  const administered = authority.seesAll ? [] : await authority.administeredTeams();
  const reached = isSelf && !isWhole ? await authority.memberTeams() : [];
  const isSeen = (team: string | null | undefined) => {
    if (isWhole) return true;
    if (!team) return isSelf && scope.teamId === null;
    return administered.includes(team) || reached.includes(team);
  };
  return { user, administered, isSeen };
}

const teams = z.array(z.string()).describe('The ids of the teams the user belongs to');

export const aloneInfo = { ...userInfo, teams };

/** A user without keys, and its teams by id. */
export async function describeAlone(needs: Needs, named: string | undefined) {
  const { user, isSeen } = await shownTo(needs, named);
  const found = await needs.teams.of(user.id, ROWS_AT_MOST);
  return { ...(await needs.users.describe(user)), teams: found.map(({ id }) => id).filter((id) => isSeen(id)) };
}

export const newUserInfo = {
  key: z.string().nullable().describe('The key, if one was made. It is never shown again'),
  token: z.string().nullable().describe('SHA-256 of that key'),
  keyName: z.string().nullable().describe('That key, masked'),
  keyAlias: z.string().nullable().describe('The name of that key'),
  expires: timestamp.nullable().describe('When that key stops working; null is never'),
  ...aloneInfo,
};

/** A user with what its maker is told of the key that came with it. */
export async function describeNew(needs: Needs, user: User, made?: { readonly key: Key; readonly secret: string }) {
  return {
    key: made?.secret ?? null,
    token: made?.key.token ?? null,
    keyName: made?.key.name ?? null,
    keyAlias: made?.key.alias ?? null,
    expires: made?.key.expiresAt ?? null,
    ...(await describeAlone(needs, user.id)),
  };
}

export const wholeInfo = {
  userId: z.string().describe('Names the user'),
  userInfo: answer(aloneInfo).describe('The user'),
  keys: z
    .array(answer({ ...keyInfo, teamAlias: teamInfo.teamAlias }))
    .describe('The newest keys of the user, at most 1,000'),
  teams: z
    .array(answer({ ...teamInfo, teamMemberships: z.array(answer(membershipInfo)).describe('What was spent there') }))
    .describe('The teams the user belongs to'),
};

/** A user with its keys and teams. */
export async function describeWhole(needs: Needs, named: string | undefined) {
  const { user, administered, isSeen } = await shownTo(needs, named);
  const keys = (await needs.keys.of({ userId: user.id }, ROWS_AT_MOST)).filter(({ teamId }) => isSeen(teamId));
  const aliases = await needs.teams.aliasesOf(keys.map(({ teamId }) => teamId));
  const belongsTo = (await needs.teams.of(user.id, ROWS_AT_MOST)).filter(({ id }) => isSeen(id));
  const shown = (await needs.teams.withMembers(belongsTo)).map((whole) => {
    const isOpen = needs.authority.seesAll || administered.includes(whole.team.id);
    const members = isOpen ? whole.members : whole.members.filter(({ member }) => member.userId === user.id);
    return Object.assign(whole, { members });
  });
  const memberships = await needs.members.describeEach(shown);
  return {
    userId: user.id,
    userInfo: { ...(await needs.users.describe(user)), teams: belongsTo.map(({ id }) => id) },
    keys: (await needs.keys.describe(keys)).map((key) =>
      Object.assign(key, { teamAlias: aliases.get(key.teamId ?? '') ?? null }),
    ),
    teams: shown.map((whole, index) =>
      Object.assign(describeTeam(whole, needs.now), { teamMemberships: memberships[index] ?? [] }),
    ),
  };
}
