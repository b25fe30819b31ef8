import type { Answer, Gateway } from '../support/gateway.ts';

/** People, teams and organizations as rows, and a key for each person: who may do what is asked with these. */
export async function makeWorld({ pool, request }: Pick<Gateway, 'pool' | 'request'>) {
  const stamps = `now(), 'test', now(), 'test'`;
  const columns = 'created_at, created_by, updated_at, updated_by';
  const people: Readonly<Record<string, string>> = {
    root: 'proxy_admin',
    viewer: 'proxy_admin_viewer',
    owner: 'internal_user',
    stranger: 'internal_user',
    looker: 'internal_user_viewer',
    lead: 'internal_user',
    rival: 'internal_user',
    boss: 'internal_user',
    other_boss: 'internal_user',
  };
  await pool.query('set search_path to gatewayctl');
  for (const [id, role] of Object.entries(people)) {
    await pool.query(
      `insert into gatewayctl.users (id, email, role, ${columns}) values ($1, $1 || '@example.com', $2, ${stamps})`,
      [id, role],
    );
  }
  for (const id of ['acme', 'globex']) {
    await pool.query(`insert into gatewayctl.organizations (id, alias, ${columns}) values ($1, $1, ${stamps})`, [id]);
  }
  const teams = [
    ['red', 'acme', '{}'],
    ['blue', 'globex', '{}'],
    ['open', 'acme', '{/key/generate,/key/info,/key/list,/key/update,/key/regenerate,/key/delete}'],
  ];
  for (const [id, organization, permissions] of teams) {
    await pool.query(
      `insert into gatewayctl.teams (id, alias, organization_id, member_permissions, models, max_budget, tpm_limit, ${columns})
       values ($1, $1 || '-team', $2, $3, '{gpt-4o,mock-gpt,openai/*}', 100000000000, 1000, ${stamps})`,
      [id, organization, permissions],
    );
  }
  const members = [
    ['red', 'lead', 'admin'],
    ['red', 'owner', 'user'],
    ['red', 'root', 'user'],
    ['blue', 'rival', 'admin'],
    ['blue', 'lead', 'admin'],
    ['open', 'owner', 'user'],
    ['open', 'lead', 'admin'],
  ];
  for (const member of members) {
    await pool.query(
      `insert into gatewayctl.team_members (team_id, user_id, role, created_at) values ($1, $2, $3, now())`,
      member,
    );
  }
  for (const [organization, user] of [
    ['acme', 'boss'],
    ['globex', 'other_boss'],
  ]) {
    await pool.query(
      `insert into gatewayctl.organization_members (organization_id, user_id, role, created_at) values ($1, $2, 'org_admin', now())`,
      [organization, user],
    );
  }

  const made = async (body: object): Promise<{ key: string; token: string }> => {
    const { status, text, body: key } = await request('POST', '/key/generate', { body });
    if (status !== 200) throw new Error(text);
    return key as { key: string; token: string };
  };
  const keys: Record<string, string> = {};
  for (const id of Object.keys(people)) keys[id] = (await made({ user_id: id, key_alias: `of-${id}` })).key;
  keys['service'] = (await made({ team_id: 'red', key_alias: 'of-service', is_service_account: true })).key;

  /** One request with the key of a person. */
  const as = (person: string, path: string, body?: object): Promise<Answer> => {
    const key = keys[person] ?? person;
    return body === undefined ? request('GET', path, { key }) : request('POST', path, { key, body });
  };
  return { made, as, keys };
}

export type World = Awaited<ReturnType<typeof makeWorld>>;
