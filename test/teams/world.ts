import assert from 'node:assert/strict';
import type { Answer, Gateway } from '../support/gateway.ts';

/** Who asks, by the alias of the key: see `build`. */
export type Who =
  | 'lead-1'
  | 'member-1'
  | 'lead-2'
  | 'member-2'
  | 'head-1'
  | 'head-2'
  | 'viewer'
  | 'watcher'
  | 'stranger'
  | 'service-1'
  | 'master';

export interface World {
  readonly ask: (who: Who, method: string, path: string, body?: object) => Promise<Answer>;
  readonly post: (path: string, body: object) => Promise<Answer['body']>;
  readonly key: (who: Who) => string;
}

/**
 * Two organizations with a team and an administrator each; in each team an administrator and a member. `viewer` may only
 * look and is a member of the first team, `watcher` may look at everything, `stranger` belongs nowhere.
 */
export async function build(gateway: Gateway): Promise<World> {
  const keys = new Map<string, string>([['master', gateway.daemon.masterKey]]);
  const post = async (path: string, body: object) => {
    const { status, text, body: answer } = await gateway.request('POST', path, { body });
    assert.equal(status, 200, `${path}: ${text}`);
    return answer;
  };
  for (const n of [1, 2]) {
    await gateway.pool.query(
      `insert into gatewayctl.organizations (id, alias, max_budget, created_at, created_by, updated_at, updated_by)
       values ($1, $1, 100000000000, now(), 'test', now(), 'test')`,
      [`org-${n}`],
    );
    await post('/team/new', {
      team_id: `team-${n}`,
      team_alias: `Team ${n}`,
      organization_id: `org-${n}`,
      max_budget: 50,
    });
  }
  const people = [
    ...[1, 2].flatMap((n) => [`lead-${n}`, `member-${n}`, `head-${n}`].map((id) => [id, 'internal_user'])),
    ['viewer', 'internal_user_viewer'],
    ['watcher', 'proxy_admin_viewer'],
    ['stranger', 'internal_user'],
  ];
  for (const [id = '', role] of people) {
    const email = `${id}@example.com`;
    await post('/user/new', { user_id: id, user_email: email, user_role: role, auto_create_key: false });
    keys.set(id, (await post('/key/generate', { user_id: id, key_alias: `of-${id}` })).key);
  }
  const inOrganization = (organization: string, user: string, role: string) =>
    gateway.pool.query(
      `insert into gatewayctl.organization_members (organization_id, user_id, role, created_at) values ($1, $2, $3, now())`,
      [organization, user, role],
    );
  for (const n of [1, 2]) {
    await inOrganization(`org-${n}`, `head-${n}`, 'org_admin');
    for (const id of [`lead-${n}`, `member-${n}`]) await inOrganization(`org-${n}`, id, 'internal_user');
    await post('/team/member_add', { team_id: `team-${n}`, member: { user_id: `lead-${n}`, role: 'admin' } });
    await post('/team/member_add', { team_id: `team-${n}`, member: { user_id: `member-${n}` } });
  }
  await post('/team/member_add', { team_id: 'team-1', member: { user_id: 'viewer' } });
  keys.set('service-1', (await post('/key/generate', { team_id: 'team-1', key_alias: 'service-1' })).key);
  return {
    post,
    key: (who) => keys.get(who) ?? '',
    ask: (who, method, path, body) => gateway.request(method, path, { key: keys.get(who) ?? '', body }),
  };
}
