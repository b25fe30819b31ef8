import { inTurns } from './admin-paths.ts';
import { coreOf, lookalikes, type World } from './world.ts';

/**
 * Secrets in the fields that are made for them, in changes that go well and in changes that do not: what is kept is
 * sealed, and of the rest nothing stays.
 */
export async function keepSecrets(world: World): Promise<number> {
  const { planted, request, upstream } = world;
  const model = (params: object, more: object = {}) => ({
    model_name: 'kept',
    litellm_params: { model: 'openai/gpt-4o', api_base: upstream.url, ...params },
    ...more,
  });
  const credential = (values: unknown, more: object = {}) => ({
    credential_name: 'kept',
    credential_values: values,
    ...more,
  });
  const api_key = (name: string) => planted(`api_key ${name}`, 'sk-');
  const good: [string, string, object][] = [
    ['POST', '/model/new', model({ api_key: api_key('of a model') })],
    ['POST', '/credentials', credential({ api_key: planted('value of a credential'), api_base: upstream.url })],
    ['POST', '/model/new', model({ litellm_credential_name: 'kept' }, { model_name: 'by-credential' })],
    ['PATCH', '/credentials/kept', credential({ api_key: planted('new value of a credential') })],
    ['POST', '/model/update', model({ api_key: api_key('of a change') })],
    ['POST', '/model/new', { ...model({ api_key: api_key('of a rehearsal') }), dry_run: true }],
    [
      'POST',
      '/credentials',
      credential({ api_key: planted('rehearsed value') }, { credential_name: 'new', dry_run: true }),
    ],
    ['POST', '/credentials', credential({ api_key: planted('value that differs') }, { if_not_exists: true })],
  ];
  for (const [method, path, body] of good) await request(method, path, { body });

  const host = new URL(upstream.url).host;
  const inAddress = (name: string, scheme = 'http') =>
    `${scheme}://user:${planted(`password in an ${name}`)}@${host}/v1`;
  const deep = { deep: [{ deeper: api_key('deep in an object') }] };
  const bad: [string, string, unknown][] = [
    ['POST', '/model/new', model({ api_key: api_key('beside a wrong field'), model: 7 })],
    ['POST', '/model/new', model({ api_key: api_key('beside an unknown field'), surprise: 1 })],
    ['POST', '/model/new', model({ api_key: api_key('beside an unknown provider'), model: 'nobody/x' })],
    ['POST', '/model/new', model({ api_key: [api_key('in a list')] })],
    ['POST', '/model/new', model({ api_key: deep })],
    ['POST', '/model/new', model({ api_base: inAddress('api_base') })],
    ['POST', '/model/new', model({ api_base: inAddress('api_base of another scheme', 'ftp') })],
    ['POST', '/model/new', model({ base_url: inAddress('base_url') })],
    ['POST', '/model/new', model({ extra_headers: { 'x-api-key': planted('extra header') } })],
    ['POST', '/model/new', model({ aws_secret_access_key: planted('secret of AWS') })],
    ['POST', '/model/new', model({ vertex_credentials: JSON.stringify({ private_key: planted('key of Vertex') }) })],
    ['POST', '/model/new', model({ azure_ad_token: planted('token of Azure') })],
    [
      'POST',
      '/model/update',
      model({ api_key: api_key('for a model that is not there') }, { model_info: { id: 'none' } }),
    ],
    ['POST', '/credentials', planted('value in the place of all')],
    ['POST', '/credentials', credential(planted('value in the place of values'))],
    ['POST', '/credentials', credential([planted('value in a list')])],
    ['POST', '/credentials', credential({ api_key: { nested: planted('nested value') } })],
    ['POST', '/credentials', credential({ api_key: 7, other: planted('value beside a wrong one') })],
    ['POST', '/credentials', credential({ [planted('value for a name')]: 'x' })],
    ['POST', '/credentials', credential({ api_key: planted('value for a name that is taken') })],
    ['POST', '/credentials', credential({ api_key: planted('value beside an unknown field') }, { surprise: 1 })],
    ['PATCH', '/credentials/none', credential({ api_key: planted('value for what is not there') })],
    ['POST', '/key/generate', { key: planted('key of one’s own choice, too short').slice(0, 12) }],
    ['POST', '/key/generate', { key: planted('key of one’s own choice', 'sk-'), team_id: 'none' }],
    ['POST', '/key/generate', { key: planted('key of one’s own choice without its prefix') }],
    ['POST', '/key/update', { key: planted('key that is not there', 'sk-'), max_budget: 1 }],
    ['POST', '/key/regenerate', { key: 'none', new_key: planted('new key of what is not there', 'sk-') }],
    ['POST', '/key/delete', { keys: [planted('one of several keys', 'sk-'), 7] }],
    ['GET', `/key/info?key=${planted('key in a query', 'sk-')}`, undefined],
    ['GET', `/key/info?api_key=${planted('key in an unknown parameter', 'sk-')}`, undefined],
    ['GET', `/nowhere/${planted('key in a path', 'sk-')}?key=${planted('key behind it', 'sk-')}`, undefined],
    ['POST', `/key/${planted('key in the path of an operation', 'sk-')}/reset_spend`, { reset_to: 0 }],
    ['POST', '/user/new', { user_id: 'u', password: planted('password of a user') }],
    ['POST', '/user/update', { user_id: 'looker', password: planted('new password of a user') }],
    ['POST', '/explain', { key: planted('key to explain', 'sk-'), model: 'mock-gpt' }],
  ];
  await inTurns(
    bad.map(
      ([method, path, body]) =>
        () =>
          request(method, path, { body }),
    ),
    4,
  );
  return good.length + bad.length;
}

/** Bodies that are none, around a secret: what a parser says of them quotes them. */
export async function sendBrokenBodies(world: World): Promise<number> {
  const { daemon, planted, told } = world;
  const bodies = [
    '{"api_key": "X',
    '{"api_key": "X"}}',
    '{"api_key": X}',
    'X',
    "{'api_key': 'X'}",
    '[X',
    '{"X": 1e999, }',
    '\u0000X',
  ];
  const places = ['/model/new', '/credentials', '/key/generate', '/v1/chat/completions'];
  let count = 0;
  for (const [index, body] of bodies.entries()) {
    for (const place of places) {
      const canary = planted(`secret in a broken body ${index} of ${place}`, 'sk-');
      const response = await fetch(daemon.url + place, {
        method: 'POST',
        headers: { authorization: `Bearer ${daemon.masterKey}`, 'content-type': 'application/json' },
        body: body.replace('X', canary),
      });
      told.push({ where: `${place} ${response.status}`, text: await response.text() });
      count++;
    }
  }
  return count;
}

/** Metadata that looks like keys is kept as it was given, and shown to whoever may see its object. */
export async function keepMetadata(world: World): Promise<void> {
  for (const [name, [text, core]] of Object.entries(lookalikes())) {
    world.canaries.plant(`${name} in metadata`, text, { kind: 'misplaced', core });
    const metadata = { token: text, [text]: [text] };
    await world.request('POST', '/team/new', { body: { team_id: `with ${name}`, metadata } });
    await world.newKey(`key with ${name} in its metadata`, { metadata });
    await world.request('POST', '/team/update', {
      body: { team_id: `with ${name}`, metadata: { ...metadata, more: 1 } },
    });
  }
}

/** Keys in every state that a key can be in. */
export async function endKeys(world: World): Promise<Readonly<Record<string, string>>> {
  const { newKey, request, canaries } = world;
  const keys: Record<string, string> = {};
  for (const name of ['active', 'deleted', 'blocked', 'retired', 'in grace', 'expired']) {
    keys[name] = await newKey(`${name} key`, name === 'expired' ? { duration: '1s' } : {});
  }
  await request('POST', '/key/delete', { body: { keys: [keys['deleted']] } });
  await request('POST', '/key/block', { body: { key: keys['blocked'] } });
  for (const [name, grace] of [
    ['retired', undefined],
    ['in grace', '1h'],
  ] as const) {
    const { key } = (await request('POST', '/key/regenerate', { body: { key: keys[name], grace_period: grace } })).body;
    canaries.plant(`new secret of the ${name} key`, key, { core: coreOf(key) });
  }
  return keys;
}
