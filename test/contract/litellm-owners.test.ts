import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Gateway, startGateway } from '../support/gateway.ts';

/**
 * The members that LiteLLM's clients read of answers about users, models, organizations, customers, budgets, tags,
 * credentials and invitations. What is more is ours, and may change; what is less breaks them.
 */

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  await post('/team/new', { team_id: 'crew', team_alias: 'The crew' });
  await post('/user/new', { user_id: 'anna', user_email: 'anna@example.com' });
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown, key?: string) =>
  gateway.request('POST', path, { body, ...(key !== undefined && { key }) });

const limits = 'max_budget soft_budget budget_duration budget_reset_at tpm_limit rpm_limit max_parallel_requests';
const stamps = 'created_at created_by updated_at updated_by';
const budget = `budget_id ${limits} model_max_budget ${stamps}`;
const user = `user_id user_email user_alias user_role organization_id sso_user_id models spend metadata ${limits} budget_id litellm_budget_table created_at updated_at`;
const customer = `user_id alias blocked spend ${limits} budget_id litellm_budget_table`;
const organization = `organization_id organization_alias models spend metadata budget_id litellm_budget_table ${stamps}`;
const organizationMember =
  'user_id organization_id user_email user_role spend budget_id litellm_budget_table created_at';
const tag = `name description spend ${limits} budget_id litellm_budget_table ${stamps}`;
const credential = 'credential_name credential_values credential_info';
const invitation = `id user_id is_accepted accepted_at expires_at ${stamps}`;
const model = 'model_name model_id litellm_params model_info';
const modelInfo =
  'id db_model key max_tokens max_input_tokens max_output_tokens input_cost_per_token output_cost_per_token litellm_provider mode';
const group =
  'model_group providers max_input_tokens max_output_tokens input_cost_per_token output_cost_per_token mode tpm rpm supports_vision supports_function_calling';
const page = 'total page page_size total_pages';

/** Method, route, body, status, and what the answer has: under the name of a member what that, or its first entry, has. */
type Row = readonly [route: string, body: object | undefined, status: number, has: Record<string, string>];

const refused = { error: 'message type param code' };
const openai = { model: 'openai/gpt-4o', api_key: 'sk-upstream-1234567890' };

const walk: readonly Row[] = [
  // Budgets come first: the others share them.
  ['POST /budget/new', { budget_id: 'plan', max_budget: 0, budget_duration: '30d' }, 200, { '': budget }],
  ['POST /budget/new', { budget_id: 'plan' }, 400, refused],
  ['POST /budget/new', { max_budget: 1, allowed_models: [] }, 200, { '': budget }],
  ['POST /budget/update', { budget_id: 'plan', soft_budget: 0 }, 200, { '': budget }],
  ['POST /budget/update', { budget_id: 'nobody', max_budget: 1 }, 404, refused],
  ['POST /budget/info', { budgets: ['plan'] }, 200, { '0': budget }],
  ['GET /budget/settings?budget_id=plan', undefined, 200, { '0': 'field_name field_type field_value stored_in_db' }],
  ['GET /budget/list', undefined, 200, { '0': budget }],
  ['POST /budget/delete', { id: 'nobody' }, 404, refused],

  [
    'POST /user/new',
    { user_id: 'ben', key_alias: 'ben-1', duration: '30d', budget_id: 'plan', team_id: 'crew' },
    200,
    { '': `key token key_name key_alias expires teams ${user}`, litellm_budget_table: budget },
  ],
  ['POST /user/new', { user_id: 'ben' }, 400, refused],
  ['POST /user/new', { user_email: 'ANNA@example.com' }, 400, refused],
  [
    'GET /user/info?user_id=ben',
    undefined,
    200,
    {
      '': 'user_id user_info keys teams',
      user_info: `${user} teams`,
      'user_info.litellm_budget_table': budget,
      'keys.0': 'token key_name key_alias team_id team_alias user_id spend expires models metadata',
      'teams.0': 'team_id team_alias team_memberships',
      'teams.0.team_memberships.0': 'user_id team_id spend budget_id litellm_budget_table',
    },
  ],
  ['GET /v2/user/info?user_id=ben', undefined, 200, { '': `${user} teams`, litellm_budget_table: budget }],
  ['GET /user/info?user_id=nobody', undefined, 404, refused],
  ['POST /user/update', { user_id: 'ben', max_budget: null }, 200, { '': 'user_id data', data: user }],
  ['POST /user/update', { user_email: 'nobody@example.com', max_budget: 1 }, 404, refused],
  [
    'POST /user/bulk_update',
    { users: [{ user_id: 'ben', user_alias: 'Ben' }, { user_id: 'nobody' }] },
    200,
    {
      '': 'results total_requested successful_updates failed_updates',
      'results.0': 'user_id user_email success error updated_user',
      'results.0.updated_user': user,
      'results.1': 'user_id success error',
    },
  ],
  ['GET /user/list?user_ids=ben', undefined, 200, { '': `users ${page}`, 'users.0': `${user} key_count` }],
  ['GET /user/list?page_size=101', undefined, 400, refused],
  ['GET /user/available_roles', undefined, 200, { proxy_admin: 'description ui_label' }],
  ['POST /invitation/new', { user_id: 'ben' }, 200, { '': invitation }],
  ['POST /invitation/new', { user_id: 'nobody' }, 404, refused],
  ['GET /invitation/info?invitation_id=:id', undefined, 200, { '': invitation }],
  ['POST /invitation/update', { invitation_id: ':id', is_accepted: true }, 200, { '': invitation }],
  ['POST /invitation/delete', { invitation_id: ':id' }, 200, { '': invitation }],
  ['GET /invitation/info?invitation_id=:id', undefined, 404, refused],
  ['POST /user/delete', { user_ids: ['ben'] }, 200, { '': 'deleted_users deleted_keys', 'deleted_users.0': user }],
  ['POST /user/delete', { user_ids: ['ben'] }, 404, refused],

  [
    'POST /model/new',
    { model_name: 'four', litellm_params: { ...openai, rpm: null, tpm: null }, model_info: { id: 'four-1' } },
    200,
    { '': model, model_info: modelInfo, litellm_params: 'model' },
  ],
  ['POST /model/new', { model_name: 'four', litellm_params: { ...openai, itpm: 5 } }, 400, refused],
  [
    'POST /model/new?if_not_exists=true',
    { model_name: 'local', litellm_params: { model: 'meta/llama', custom_llm_provider: 'openai', tpm: null } },
    200,
    { '': model },
  ],
  [
    'POST /model/new?if_not_exists=true',
    { model_name: 'local', litellm_params: { model: 'meta/llama', custom_llm_provider: 'openai', tpm: null } },
    200,
    { '': model },
  ],
  [
    'POST /model/new',
    { model_name: 'far', litellm_params: { model: 'x', custom_llm_provider: 'sagemaker' } },
    400,
    refused,
  ],
  ['POST /model/new', { model_name: 'four', litellm_params: openai, model_info: { id: 'four-1' } }, 400, refused],
  ['POST /model/update', { litellm_params: {}, model_info: { id: 'four-1', mode: 'chat' } }, 200, { '': model }],
  ['PATCH /model/four-1/update', { model_info: { access_groups: ['beta'] } }, 200, { '': model }],
  ['PATCH /model/four-1/update', { id: 'other', model_info: { mode: 'chat' } }, 400, refused],
  ['PATCH /model/four-1/update', { model_info: { id: 'other', mode: 'chat' } }, 400, refused],
  ['PATCH /model/nobody/update', { model_info: { mode: 'chat' } }, 404, refused],
  ['GET /model/info', undefined, 200, { 'data.0': model, 'data.0.model_info': modelInfo }],
  ['GET /v1/model/info?litellm_model_id=four-1', undefined, 200, { 'data.0': model }],
  ['GET /v1/model/info?litellm_model_id=nobody', undefined, 404, refused],
  ['GET /v2/model/info?size=1', undefined, 200, { '': 'data total_count current_page total_pages size' }],
  ['GET /model_group/info?model_group=four', undefined, 200, { 'data.0': group }],
  ['GET /v1/models?only_model_access_groups=true', undefined, 200, { 'data.0': 'id object created owned_by' }],
  ['GET /v1/models/four', undefined, 200, { '': 'id object created owned_by' }],
  ['POST /model/delete', { id: 'builtin-mock-gpt' }, 400, refused],

  [
    'POST /organization/new',
    { organization_id: 'acme', organization_alias: 'Acme', budget_id: 'plan' },
    200,
    { '': organization, litellm_budget_table: budget },
  ],
  ['POST /organization/new', { organization_id: 'acme', organization_alias: 'Acme' }, 400, refused],
  ['GET /organization/list', undefined, 200, { '0': organization }],
  [
    'POST /organization/member_add',
    { organization_id: 'acme', member: { role: 'internal_user', user_id: 'anna' }, max_budget_in_organization: 4 },
    200,
    {
      '': 'organization_id updated_users updated_organization_memberships',
      'updated_organization_memberships.0': organizationMember,
    },
  ],
  ['POST /organization/member_add', { organization_id: 'acme', member: { role: 'king', user_id: 'a' } }, 400, refused],
  [
    'PATCH /organization/member_update',
    { organization_id: 'acme', user_id: 'anna', budget_id: 'plan' },
    200,
    { '': organizationMember, litellm_budget_table: budget },
  ],
  [
    'GET /organization/info?organization_id=acme',
    undefined,
    200,
    { '': `${organization} members teams`, 'members.0': organizationMember, 'members.0.litellm_budget_table': budget },
  ],
  ['POST /organization/info', { organizations: ['acme', 'nobody'] }, 200, { '0': organization }],
  ['PATCH /organization/update', { organization_id: 'acme', budget_id: null }, 200, { '': organization }],
  ['DELETE /organization/member_delete', { organization_id: 'acme', user_id: 'anna' }, 200, { '': organizationMember }],
  ['DELETE /organization/delete', { organization_ids: ['acme'] }, 200, { '0': organization }],

  ['POST /customer/new', { user_id: 'shop', budget_id: 'plan' }, 200, { '': customer, litellm_budget_table: budget }],
  ['POST /customer/new', { user_id: 'shop' }, 400, refused],
  ['POST /customer/new', { user_id: 'both', max_budget: 1, budget_id: 'plan' }, 422, refused],
  ['GET /end_user/info?end_user_id=shop', undefined, 200, { '': customer }],
  ['POST /customer/update', { user_id: 'shop', alias: 'Shop', budget_id: null }, 200, { '': customer }],
  ['POST /customer/block', { user_ids: ['shop'] }, 200, { 'blocked_users.0': customer }],
  ['POST /customer/unblock', { user_ids: ['shop'] }, 200, { 'blocked_users.0': customer }],
  ['GET /customer/list', undefined, 200, { '0': customer }],
  ['POST /customer/delete', { user_ids: ['shop'] }, 200, { '': 'deleted_customers message' }],
  ['GET /customer/info?end_user_id=shop', undefined, 404, refused],

  ['POST /tag/new', { name: 'batch', models: [], budget_id: 'plan' }, 200, { '': 'message tag', tag }],
  ['POST /tag/new', { name: 'batch' }, 400, refused],
  ['POST /tag/update', { name: 'batch', budget_id: null }, 200, { '': 'message tag', tag }],
  ['POST /tag/info', { names: ['batch'] }, 200, { batch: tag }],
  ['GET /tag/list', undefined, 200, { '0': tag }],
  ['POST /tag/delete', { name: 'batch' }, 200, { '': 'message' }],

  [
    'POST /credentials',
    { credential_name: 'upstream', credential_values: { api_key: 'sk-upstream-1234567890' }, credential_info: {} },
    200,
    { '': 'success message' },
  ],
  ['GET /credentials', undefined, 200, { '': 'success credentials', 'credentials.0': credential }],
  ['GET /credentials/by_name/upstream', undefined, 200, { '': credential }],
  ['GET /credentials/by_model/four-1', undefined, 404, refused],
  ['PATCH /credentials/upstream', { credential_name: 'upstream', credential_info: { a: 1 } }, 200, { '': 'success' }],
  ['PATCH /credentials/upstream', { credential_name: 'other', credential_info: {} }, 400, refused],
  ['DELETE /credentials/upstream', undefined, 200, { '': 'success message' }],
  ['GET /credentials/by_name/upstream', undefined, 404, refused],
];

/** `keys.0` of an answer; '' is the answer itself. */
const memberAt = (body: unknown, path: string): unknown =>
  path
    .split('.')
    .filter((name) => name !== '')
    .reduce<unknown>((at, name) => Object(at)[name], body);

test('answers have the statuses and the members of LiteLLM’s', async () => {
  let id = '';
  for (const [route, body, status, has] of walk) {
    const [method = '', path = ''] = route.replace(':id', id).split(' ');
    const sent = body && JSON.parse(JSON.stringify(body).replace(':id', id));
    const answer: Answer = await gateway.request(method, path, sent && { body: sent });
    const told = `${route} ${JSON.stringify(body)}: ${answer.text.slice(0, 600)}`;
    assert.equal(answer.status, status, told);
    for (const [at, names] of Object.entries(has)) {
      const missing = names.split(' ').filter((name) => !Object.hasOwn(Object(memberAt(answer.body, at)), name));
      assert.deepEqual(missing, [], `${at} of ${told}`);
    }
    if (path === '/invitation/new' && status === 200) id = answer.body.id;
  }
});

test('a key for management reaches every list of these objects, those that are ours too', async () => {
  await post('/user/new', { user_id: 'chief', user_role: 'proxy_admin', auto_create_key: false });
  const { key } = (await post('/key/generate', { user_id: 'chief', key_type: 'management' })).body;
  const lists = ['user', 'organization', 'customer', 'budget', 'tag'].map((noun) => `/${noun}/list`);
  const pages = ['organization', 'customer', 'budget', 'tag'].map((noun) => `/v2/${noun}/list`);
  for (const path of [...lists, ...pages, '/credentials', '/v2/model/info', '/access_group/list']) {
    const { status, text } = await gateway.request('GET', path, { key });
    assert.equal(status, 200, `${path}: ${text}`);
  }
  const { body } = await gateway.request('GET', '/spend/logs', { key });
  assert.match(body.error.message, /^Virtual key is not allowed to call this route\. Only allowed to call routes: \[/);
});
