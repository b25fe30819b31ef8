import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { publicPaths, requirePolicies } from '../../src/kernel/route-policy.ts';
import type { RegisteredRoute } from '../../src/kernel/route-policy.ts';
import { observedDaemon, type Ran } from '../support/observed-daemon.ts';
import { randomLines } from '../support/random-lines.ts';
import { type RawAnswer, type RawRequest, sendAll } from '../support/raw-http.ts';
import { hostSpellings, pathSpellings } from '../support/spellings.ts';
import { plainPath, routesNamed } from '../support/wire-routes.ts';

/** `1` tries every host with every path of every route; otherwise every pair of the three occurs, and not every triple. */
const isWhole = process.env['GATEWAYCTL_TEST_SPELLINGS'] === '1';
const lines = Number(process.env['GATEWAYCTL_TEST_LINES'] ?? 20_000);
const seed = Number(process.env['GATEWAYCTL_TEST_SEED'] ?? 20_261_127);

let daemon: Awaited<ReturnType<typeof observedDaemon>>;
before(async () => {
  daemon = await observedDaemon();
});
after(() => daemon[Symbol.asyncDispose]());

interface Probe extends RawRequest {
  readonly probe: string;
}

/** What every handler takes that reads JSON: of each it is good enough to be asked about. */
const json = [
  'application/json',
  '{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"max_tokens":1,' +
    '"prompt":"x","input":"x","voice":"alloy","query":"x","documents":["x"]}',
] as const;
const partOf = (name: string, text: string) => `--x\r\nContent-Disposition: form-data; name=${name}\r\n\r\n${text}\r\n`;
const formWith = (file: string) =>
  [
    'multipart/form-data; boundary=x',
    `${partOf('"model"', 'gpt-4o')}${partOf('"prompt"', 'x')}${partOf(file, 'x')}--x--\r\n`,
  ] as const;
const image = formWith('"image"; filename="a.png"');
const recording = formWith('"file"; filename="a.wav"');

let count = 0;
function probing(line: string, host = 'Host: localhost'): Probe {
  const probe = String(++count);
  // A name of a header ends where its line does: what a random line smuggles in stands before this one.
  const form = /images\/(?:edits|variations)/.test(line) ? image : /audio\/trans/.test(line) && recording;
  const [type, body] = form || json;
  const headers = [host, `X-Probe: ${probe}`, `Content-Type: ${type}`, 'Authorization: Bearer sk-weak'];
  return { probe, line, headers, ...(/^(?:POST|PUT|PATCH) /.test(line) && { body }) };
}

function* table(): Generator<Probe> {
  for (const [index, { method, path }] of daemon.routes.entries()) {
    const plain = plainPath(path);
    for (const [at, spelled] of pathSpellings.entries()) {
      for (const [of, host] of hostSpellings.entries()) {
        if (isWhole || at === 0 || of === 0 || (at * 18 + of) % daemon.routes.length === index) {
          yield probing(`${method} ${spelled(plain)} HTTP/1.1`, host);
        }
      }
    }
  }
}

const isPublic = (line: string): boolean => routesNamed(daemon.routes, line).some(({ path }) => publicPaths.has(path));

/** Everything that was answered, and what ran meanwhile. */
async function answers(requests: Iterable<Probe>, isOpen: boolean) {
  daemon.door.isOpen = isOpen;
  daemon.ran.length = 0;
  const sent = new Map<string, Probe>();
  const seen: { readonly request: Probe; readonly answer: RawAnswer }[] = [];
  await sendAll(requests, { path: daemon.path }, (request, answer) => {
    sent.set(request.probe, request);
    seen.push({ request, answer });
  });
  return { seen, sent, ran: [...daemon.ran] };
}

type Answers = Awaited<ReturnType<typeof answers>>;

/** Without a credential that is good nothing runs, and nothing is answered but what is there for everybody. */
function assertShut({ seen, ran }: Answers): void {
  assert.deepEqual(ran, []);
  for (const { request, answer } of seen) {
    const { status } = answer;
    assert.ok(status < 500, `${request.line}: ${answer.text}`);
    if (status >= 200 && status < 400) assert.ok(isPublic(request.line), `${request.line}: ${answer.text}`);
    // Refused for who it is: its own credential was looked at.
    if (status === 401) assert.ok(daemon.asked.has(request.probe), request.line);
  }
}

/** What ran is what was named, to the letter, for the caller whom its own gate has looked at. */
function assertOwnPolicy({ seen, sent, ran }: Answers): void {
  for (const { probe, paths } of ran as readonly Ran[]) {
    const line = sent.get(probe)?.line ?? assert.fail(`ran for nobody: ${paths.join(', ')}`);
    assert.ok(daemon.asked.has(probe), `${line} ran, and nobody looked at its credential`);
    const named = new Set(routesNamed(daemon.routes, line).map(({ path }) => path));
    assert.ok(
      paths.some((path) => named.has(path)),
      `${line} reached ${paths.join(', ')}`,
    );
  }
  const whoRan = new Set(ran.map(({ probe }) => probe));
  for (const { request, answer } of seen) {
    assert.ok(answer.status < 500, `${request.line}: ${answer.text}`);
    const isDone = answer.status >= 200 && answer.status < 400;
    if (isDone) assert.ok(whoRan.has(request.probe) || isPublic(request.line), `${request.line}: ${answer.text}`);
  }
}

describe('SEC-02, CVE-2026-49468, GHSA-4xpc-pv4p-pm3w: in 18 spellings of Host and 40 of the path of every route', () => {
  test('nothing runs for a caller who is not let in', async () => {
    const done = await answers(table(), false);
    assertShut(done);
    const whoAsked = new Set([...daemon.asked].map((probe) => done.sent.get(probe)?.line));
    for (const { method, path, policy } of daemon.routes) {
      const isAsked = whoAsked.has(`${method} ${plainPath(path)} HTTP/1.1`);
      assert.equal(isAsked, policy?.caller === 'known', `${method} ${path}`);
    }
  });

  test('nothing runs but the handler that was named, behind its own policy', async () => {
    const done = await answers(table(), true);
    assertOwnPolicy(done);
    const whatRan = new Set(done.ran.flatMap(({ paths }) => paths));
    const silent = daemon.routes.filter(({ path, policy }) => policy?.caller === 'known' && !whatRan.has(path));
    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
      'every handler did run',
    );
  });
});

describe(`SEC-02, G15, G16: of ${lines} random request lines (seed ${seed})`, () => {
  const half = Math.ceil(lines / 2);
  test('none runs anything for a caller who is not let in, and none is a fault', async () => {
    assertShut(
      await answers(
        randomLines(daemon.routes, half, seed).map((line) => probing(line)),
        false,
      ),
    );
    assert.deepEqual(daemon.faults, []);
  });

  test('none reaches another handler than the one it names', async () => {
    const done = await answers(
      randomLines(daemon.routes, half, seed + 1).map((line) => probing(line)),
      true,
    );
    assertOwnPolicy(done);
    assert.ok(done.ran.length > half / 100, `${done.ran.length} of them reached a handler at all`);
    assert.deepEqual(daemon.faults, []);
  });
});

describe('SEC-09, CVE-2026-12795, Portkey #1718: a route', () => {
  const known: RegisteredRoute = { method: 'GET', path: '/x', policy: { caller: 'known', access: 'admin' } };

  test('has a policy, whichever it is, and only what is published as public is public', () => {
    requirePolicies(daemon.routes);
    const open = daemon.routes.filter(({ policy }) => policy?.caller === 'anyone').map(({ path }) => path);
    assert.deepEqual(new Set(open), publicPaths);
    assert.ok(daemon.routes.length > 100);
  });

  test('without a policy, or with another of its name, or public in secret, is not served at all', () => {
    const forgotten = { caller: 'known', access: undefined } as unknown as RegisteredRoute['policy'];
    for (const routes of [
      [{ ...known, policy: undefined }],
      [{ ...known, policy: forgotten }],
      [{ ...known, policy: { caller: 'anyone' } as const }],
      [known, known],
    ]) {
      assert.throws(() => requirePolicies(routes), { type: 'route_without_policy' });
    }
  });
});
