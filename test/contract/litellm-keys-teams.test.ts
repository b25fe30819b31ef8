import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Route } from '../../src/kernel/operation.ts';
import { operations } from '../../src/operations.ts';
import { type Answer, type Gateway, startGateway } from '../support/gateway.ts';

const bounds = 'tpm_limit rpm_limit max_parallel_requests model_rpm_limit model_tpm_limit model_max_budget';
const common = `organization_id models metadata spend blocked max_budget soft_budget budget_duration budget_reset_at
  budget_limits rpm_limit_type tpm_limit_type tags created_at created_by updated_at updated_by ${bounds}`;
const key = `token key_name key_alias team_id user_id budget_id aliases allowed_routes allowed_passthrough_routes permissions enforced_params
  auto_rotate rotation_interval expires ${common}`;

/** What rows of the table stand for by name. */
const names: Readonly<Record<string, string>> = {
  key,
  whole: `${key} litellm_budget_table`,
  made: `key token_id ${key} litellm_budget_table`,
  team: `team_id team_alias members_with_roles model_aliases litellm_model_table allowed_passthrough_routes team_member_permissions
    team_member_budget team_member_budget_duration team_member_tpm_limit team_member_rpm_limit
    team_member_key_duration ${common}`,
  member: 'user_id user_email team_id role spend budget_id litellm_budget_table max_budget_in_team tpm_limit rpm_limit',
  pages: 'total_count current_page total_pages',
  hash: 'a'.repeat(64),
};

/**
 * What LiteLLM's clients rely on of its routes of keys and teams: a request, then the status of its answer and the names
 * in parts of it (`keys.0` is the first of a list, `.` the whole), or, behind `!`, the type and the field of the error.
 * Each finds what those before it have left. We may have further names; these may not go.
 */
const table = `
POST /team/new {"team_id":"t1","team_alias":"one","members_with_roles":[{"role":"user","user_id":"u1"}]}
  200 .: @team; members_with_roles.0: user_id user_email role
POST /team/new {"team_id":"t2","models":null,"metadata":null,"blocked":null,"members_with_roles":null}
  200 .: @team
POST /team/new {"team_id":"t1"}
  400 ! bad_request_error team_id
POST /team/new {"max_budget":-1}
  400 ! invalid_request_error max_budget
POST /team/new {"organization_id":"nope"}
  404 ! not_found_error organization_id
POST /team/new {"guardrails":["x"]}
  400 ! unsupported_field guardrails
POST /team/update {"team_id":"t1","model_aliases":{"fast":"mock-gpt"},"metadata":null}
  200 .: team_id data; data: @team; data.litellm_model_table: model_aliases created_by updated_by
POST /team/update {"team_id":"nope","max_budget":1}
  404 ! not_found_error team_id
POST /team/member_add {"team_id":"t1","member":{"role":"user","user_id":"u2"},"max_budget_in_team":5}
  200 .: @team updated_users updated_team_memberships; updated_users.0: user_id user_email; updated_team_memberships.0: @member
POST /team/member_add {"team_id":"t1","member":[{"role":"admin","user_id":"u3"}]}
  200 updated_users.0: user_id user_email
POST /team/member_add {"team_id":"t1","member":{"role":"user","user_id":"u2"}}
  400 ! team_member_already_in_team user_id
POST /team/member_add {"team_id":"t1","member":{"role":"boss","user_id":"u9"}}
  400 ! invalid_request_error member.role
POST /team/bulk_member_add {"team_id":"t1","members":[{"role":"user","user_id":"u4"},{"role":"user","user_id":"u2"}]}
  200 .: team_id results total_requested successful_additions failed_additions updated_team; results.0: user_id user_email success error updated_team_membership; results.1: error
POST /team/member_update {"team_id":"t1","user_id":"u2","role":"admin","tpm_limit":5,"rpm_limit":5}
  200 .: @member
POST /team/member_update {"team_id":"t1","user_id":"nope","role":"admin"}
  400 ! not_found_error user_id
POST /team/member_update {"team_id":"nope","user_id":"u2","role":"admin"}
  404 ! not_found_error team_id
POST /team/member_delete {"team_id":"t1","user_id":"u2"}
  200 .: @team
POST /team/member_delete {"team_id":"t1","user_id":"u2"}
  400 ! not_found_error user_id
POST /team/model/add {"team_id":"t1","models":["mock-gpt","gpt-5"]}
  200 .: @team
POST /team/model/delete {"team_id":"t1","models":["gpt-5"]}
  200 .: @team
POST /team/model/delete {"team_id":"t1","models":["mock-gpt"]}
  400 ! invalid_request_error models
POST /team/permissions_update {"team_id":"t1","team_member_permissions":["/key/info"]}
  200 .: @team
POST /team/permissions_update {"team_id":"t1","team_member_permissions":["/bogus"]}
  400 ! invalid_request_error team_member_permissions.0
GET /team/permissions_list?team_id=t1
  200 .: team_id team_member_permissions all_available_permissions
POST /team/block {"team_id":"t1"}
  200 .: @team
POST /team/unblock {"team_id":"t1"}
  200 .: @team

POST /key/generate {"key_alias":"a","team_id":"t1","models":null,"metadata":null,"spend":null}
  200 .: @made
POST /key/generate
  200 .: @made
POST /key/generate {"key_type":"default","allowed_routes":["/key/info"]}
  200 .: @made; allowed_routes: 0
POST /key/generate {"key_alias":"a"}
  400 ! bad_request_error key_alias
POST /key/generate {"max_budget":-1}
  400 ! invalid_request_error max_budget
POST /key/generate {"key":"abc"}
  400 ! invalid_request_error key
POST /key/generate {"team_id":"nope"}
  404 ! not_found_error team_id
POST /key/generate {"organization_id":"nope"}
  404 ! not_found_error organization_id
POST /key/generate {"team_id":"t1","user_id":"stranger"}
  400 ! bad_request_error user_id
POST /key/generate {"guardrails":["x"]}
  400 ! unsupported_field guardrails
POST /key/service-account/generate {"team_id":"t1","user_id":"u1","key_alias":"s"}
  200 .: @made
POST /key/service-account/generate {"key_alias":"s2"}
  400 ! invalid_request_error team_id
POST /key/update {"key":"a","duration":"-1","max_budget":null,"metadata":null}
  200 .: key @whole
POST /key/update {"key":"@hash","max_budget":1}
  404 ! not_found_error key
POST /key/update {"key":"a","user_id":"stranger"}
  403 ! bad_request_error user_id
POST /key/bulk_update {"keys":[{"key":"a","max_budget":3},{"key":"@hash","max_budget":1}]}
  200 .: total_requested successful_updates failed_updates; successful_updates.0: key key_info; successful_updates.0.key_info: @key; failed_updates.0: key key_info failed_reason
GET /key/info?key=a
  200 .: key info; info: @whole
GET /key/info?key=@hash
  404 ! not_found_error key
POST /v2/key/info {"keys":["a","@hash"]}
  200 .: key info; info.0: @key
POST /v2/key/info {}
  400 ! invalid_request_error keys
GET /key/list?size=2&return_full_object=True&expand=user
  200 .: keys @pages; keys.0: @whole user
GET /key/list?return_full_object=1&size=1
  200 keys.0: @whole
GET /key/list?status=bogus
  400 ! invalid_request_error status
GET /key/list?size=101
  400 ! invalid_request_error size
GET /key/aliases
  200 .: aliases @pages
POST /key/regenerate {"key":"a","grace_period":"1h"}
  200 .: @made
POST /key/a/regenerate
  200 .: @made
POST /key/a/regenerate {"new_key":"abc"}
  400 ! invalid_request_error new_key
POST /key/nope/regenerate {}
  404 ! not_found_error key
POST /key/a/reset_spend {"reset_to":0}
  200 .: key_hash spend previous_spend max_budget budget_reset_at
POST /key/a/reset_spend {"reset_to":1}
  400 ! bad_request_error reset_to
POST /key/block {"key":"a"}
  200 .: @key
POST /key/unblock {"key":"a"}
  200 .: @key
POST /key/block {"key":"@hash"}
  404 ! not_found_error key
POST /key/health {}
  404 ! not_found_error null

GET /team/info?team_id=t1
  200 .: team_id team_info keys team_memberships; team_info: @team team_member_budget_table; keys.0: @key; team_memberships.0: @member
GET /team/info?team_id=nope
  404 ! not_found_error team_id
GET /team/info
  400 ! invalid_request_error team_id
GET /team/member_list?team_id=t1
  200 .: members @pages; members.0: @member
GET /team/list
  200 0: @team team_memberships keys
GET /v2/team/list?page_size=1
  200 .: teams total page page_size total_pages; teams.0: @team
GET /team/available
  400 ! bad_request_error null
GET /team/daily/activity?team_ids=t1&start_date=2026-01-01&end_date=2026-01-31
  200 .: results metadata
POST /team/t1/callback {"callback_name":"langfuse","callback_type":"success","callback_vars":{"langfuse_public_key":"p","langfuse_secret_key":"s"}}
  200 .: status
GET /team/t1/callback
  200 .: status data
POST /team/t1/disable_logging
  200 .: status
POST /key/a/callback {"callback_name":"langfuse","callback_type":"success","callback_vars":{"langfuse_public_key":"p","langfuse_secret_key":"s"}}
  200 .: status
GET /key/a/callback
  200 .: status
POST /key/a/disable_logging
  200 .: status

POST /key/delete {"key_aliases":["a"]}
  200 .: deleted_keys
POST /key/delete {"keys":["@hash"]}
  404 ! not_found_error key
GET /key/list?status=deleted&return_full_object=true
  200 keys.0: token key_alias deleted_at deleted_by

POST /team/delete {"team_ids":["t1","nope"]}
  404 ! not_found_error team_id
POST /team/delete {"team_ids":["t1"]}
  200 .: deleted_teams; deleted_teams.0: @team
`;

interface Row {
  readonly request: string;
  readonly body: unknown;
  readonly status: number;
  readonly expected: string;
}

function* rowsOf(text: string): Generator<Row> {
  const filled = text.replaceAll(/@(\w+)/g, (_, name: string) => names[name]?.replaceAll(/\s+/g, ' ') ?? name);
  for (const [, request = '', json, status, expected = ''] of filled.matchAll(
    /^([A-Z]+ \S+)(?: (\{.*\}))?\n {2}(\d+)(.*)$/gm,
  ))
    yield { request, body: json && JSON.parse(json), status: Number(status), expected: expected.trim() };
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a member that is not there fails the test
const enter = (value: unknown, name: string) => (value as Record<string, unknown>)[name];

function check({ status, body, text }: Answer, row: Row): void {
  assert.equal(status, row.status, text);
  if (row.expected.startsWith('!')) {
    const { type, param, code, message } = body.error;
    assert.equal(`! ${type} ${param}`, row.expected);
    assert.deepEqual([code, typeof message], [String(status), 'string']);
    return;
  }
  for (const part of row.expected.split('; ').filter(Boolean)) {
    const [path = '', wanted = ''] = part.split(': ');
    const found = path === '.' ? body : path.split('.').reduce(enter, body);
    assert.ok(found, `${path} is not in ${text}`);
    const missing = wanted.split(' ').filter((name) => !Object.hasOwn(found, name));
    assert.deepEqual(missing, [], `missing in ${path}`);
  }
}

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const rows = [...rowsOf(table)];

describe('the routes of LiteLLM for keys and teams answer in the words its clients read', () => {
  for (const row of rows) {
    const [method = '', path = ''] = row.request.split(' ');
    test(`${row.request} ${JSON.stringify(row.body ?? '')} is ${row.status}`, async () => {
      check(await gateway.request(method, path, { body: row.body }), row);
    });
  }
});

test('no line of the table is passed over, and every route of keys and teams is in it', () => {
  assert.equal(rows.length, table.split('\n').filter((line) => /^[A-Z]/.test(line)).length);
  const asked = rows.map(({ request }) => request.replace(/\?.*/, ''));
  const routes = operations.map(({ route }) => route).concat(operations.flatMap(({ alsoAt }) => alsoAt ?? []));
  const ours = routes.filter(([, path]) => /^(\/v2)?\/(key|team)\//.test(path));
  const isAsked = ([method, path]: Route) =>
    asked.some((request) => new RegExp(`^${method} ${path.replaceAll(/:\w+/g, '[^/]+')}$`).test(request));
  assert.deepEqual(
    ours.filter((route) => !isAsked(route)),
    [],
  );
});
