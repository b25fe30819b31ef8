import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { dataPlanePaths } from '../../src/docs/data-plane.ts';
import { openapi } from '../../src/docs/openapi.ts';
import { letsRoute } from '../../src/kernel/route-groups.ts';
import type { AnyOperation } from '../../src/kernel/operation.ts';
import { Gateway } from '../proxy/gateway.ts';
import { sampleOperations } from './sample-operations.ts';

const make = (operations: readonly AnyOperation<never>[] = sampleOperations) =>
  openapi(operations, { version: '1.2.3', describeNoun: (noun) => `All about ${noun}s` });

// Through JSON, as everybody reads it: a member that is undefined is not there.
const document = JSON.parse(JSON.stringify(make()));

const ofEveryChange = ['ChangedBy', 'IdempotencyKey', 'DryRun'].map((name) => ({
  $ref: `#/components/parameters/${name}`,
}));

describe('the OpenAPI document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    assert.ok(valid, JSON.stringify(errors, undefined, 2));
  });

  test('refers to nothing that is not in it', () => {
    const text = JSON.stringify(document);
    for (const [, path = ''] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = path.split('/').reduce((part, name) => part?.[name], document);
      assert.ok(target, `#/${path} is missing`);
    }
  });

  test('gives every operation at every route a name of its own', () => {
    const names = Object.values<Record<string, { operationId: string }>>(document.paths).flatMap((item) =>
      Object.values(item).map(({ operationId }) => operationId),
    );
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.includes('key_generate') && names.includes('key_generate__post_key_new'));
  });

  test('shows a name in a path once, as a parameter of the path', () => {
    const { parameters, requestBody } = document.paths['/key/{key}/regenerate'].post;
    assert.deepEqual(parameters, [
      { name: 'key', in: 'path', description: 'The key', required: true, schema: { type: 'string' } },
      ...ofEveryChange,
    ]);
    const { schema } = requestBody.content['application/json'];
    assert.deepEqual([Object.keys(schema.properties), schema.required], [['grace', 'dry_run'], []]);
  });

  test('keeps the whole body where the path names nothing', () => {
    const { parameters, requestBody } = document.paths['/key/regenerate'].post;
    assert.deepEqual(parameters, ofEveryChange);
    assert.equal(requestBody.required, true);
    assert.equal(requestBody.content['application/json'].schema.$ref, '#/components/schemas/KeyRotateRequest');
    assert.deepEqual(document.components.schemas.KeyRotateRequest.required, ['key']);
  });

  test('sends the fields of a GET in the query, lists with commas', () => {
    const [models, metadata, team] = document.paths['/key/list'].get.parameters;
    assert.deepEqual([models.in, models.style, models.explode], ['query', 'form', false]);
    assert.equal(metadata.content['application/json'].schema.type, 'object');
    assert.equal(team.required, true);
  });

  test('describes what travels: a moment is a string, and an unknown field is refused on the way in only', () => {
    const { KeyGenerateRequest: request, KeyGenerateResponse: response } = document.components.schemas;
    assert.equal(request.additionalProperties, false);
    assert.equal(request.properties.duration.type, 'string');
    assert.equal(response.additionalProperties, undefined);
    assert.equal(response.properties.expires.anyOf[0].format, 'date-time');
    assert.equal(request.$schema, undefined);
  });

  /** Routes of a daemon, behind those of the proxy. */
  const passThroughPath = '/{provider}/{path}';

  test('has every route at which a model is called', async () => {
    await using gateway = await Gateway.start();
    const called = gateway.proxy.routes
      .filter(({ policy }) => policy && 'access' in policy && policy.access === 'call')
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    const described = new Set(
      Object.entries<object>(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      ),
    );
    assert.deepEqual(
      called.filter((route) => !described.has(route)),
      [],
    );
    assert.deepEqual(
      gateway.proxy.routes.filter(({ path }) => !letsRoute(['llm_api_routes'], path)),
      [],
      'a key may be held to calls of models',
    );
    const shown = Object.entries(dataPlanePaths).flatMap(([path, methods]) =>
      path.startsWith('/health/') || path === passThroughPath
        ? []
        : Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(
      shown.filter((route) => !called.includes(route)),
      [],
    );
  });

  test('says what each failure looks like', () => {
    const { responses } = document.paths['/key/generate'].post;
    assert.deepEqual(Object.keys(responses), '200 400 401 403 404 409 413 415 429 500 503'.split(' '));
    assert.ok('504' in document.paths['/v1/chat/completions'].post.responses);
  });

  test('asks for a key in any of the usual headers, and for none at the health routes', () => {
    assert.equal(document.security.length, 6);
    assert.deepEqual(document.paths['/health/liveliness'].get.security, []);
  });

  test('describes each noun, and comes out the same each time', () => {
    assert.deepEqual(document.tags[0], { name: 'key', description: 'All about keys' });
    assert.deepEqual(JSON.stringify(make()), JSON.stringify(make()));
  });

  test('cannot be made when two operations have one name or one route, or one has a route of the data plane', () => {
    const [first] = sampleOperations;
    assert.throws(() => make([first!, { ...first!, route: ['GET', '/x'] }]), /key generate is the name of two/);
    assert.throws(() => make([first!, { ...first!, command: ['key', 'again'] }]), /POST \/key\/generate is the route/);
    const path = Object.keys(dataPlanePaths)[0] as `/${string}`;
    assert.throws(() => make([{ ...first!, route: ['GET', path] }]), /of the data plane/);
  });
});
