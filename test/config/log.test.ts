import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger, createRedactor, type LoggerOptions } from '../../src/kernel/log.ts';
import { redactLooks } from '../../src/kernel/mask.ts';
import { generateSecret } from '../../src/kernel/secret.ts';
import { TemporaryDirectory } from './support.ts';

function logger(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const made = createLogger({
    level: 'info',
    format: 'json',
    stream: { write: (line) => lines.push(line) },
    ...options,
  });
  return { ...made, lines };
}

test('a JSON line has level, time, message and fields', () => {
  const { log, lines } = logger();
  log('warn', 'slow', { ms: 12, nano: 5n, at: undefined });
  const { time, ...rest } = JSON.parse(lines[0] ?? '');
  assert.deepEqual(rest, { level: 'warn', msg: 'slow', ms: 12, nano: 5 });
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.ok(lines[0]?.endsWith('}\n'));
});

test('a text line is level, message and key=value', () => {
  const { log, lines } = logger({ format: 'text' });
  log('info', 'listening', { port: 4000, host: '::1', note: 'two words', list: [1], gone: null });
  assert.deepEqual(lines, ['info  listening port=4000 host=::1 note="two words" list=[1] gone=null\n']);
});

test('below the level nothing is written and nothing is looked at', () => {
  const { log, lines, isOn, setLevel } = logger();
  const untouchable = new Proxy({}, { get: () => assert.fail('looked at'), ownKeys: () => assert.fail('looked at') });
  log('debug', 'quiet', untouchable);
  assert.deepEqual([lines.length, isOn('debug'), isOn('warn')], [0, false, true]);
  setLevel('debug');
  log('debug', 'heard');
  assert.equal(lines.length, 1);
});

for (const format of ['json', 'text'] as const) {
  test(`in ${format} no text of a caller begins a line of its own or moves the cursor`, () => {
    const { log, lines } = logger({ format });
    log('info', 'a\r\nerror forged', { name: 'x\n<3>forged', escape: '\u001b[2J\u009b', separator: '\u2028' });
    assert.equal(lines.length, 1);
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    assert.doesNotMatch((lines[0] ?? '').slice(0, -1), /[\u0000-\u001f]/);
    if (format === 'text') assert.doesNotMatch(lines[0] ?? '', /[\u007f-\u009f\u2028]/);
  });

  test(`in ${format} no secret comes through, in whatever part of a line`, () => {
    const { log, lines, redact } = logger({ format });
    const own = generateSecret('virtual');
    const canaries = {
      own,
      openai: 'sk-proj-canary0123456789',
      bearer: 'Bearer canary0123456789',
      url: 'postgres://user:canary0123@host/db',
      redis: 'rediss://:canary0123@host',
      aws: 'AKIACANARY0123456789',
      google: 'AIzaCanary0123456789Canary0123456789Ca',
      jwt: 'eyJcanary0.eyJcanary0.canary0123456789',
      registered: 'hunter2"canary\\0',
    };
    redact(canaries.registered);
    const error = new Error(`outer ${canaries.openai}`, {
      cause: new Error(`inner ${canaries.registered}`, { cause: { password: canaries.registered } }),
    });
    log('error', Object.values(canaries).join(' '), { ...canaries, error, nested: { deep: [canaries] } });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines[0] ?? '', /canary0|CANARY|Canary/);
    assert.ok(!lines[0]?.includes(own));
    assert.ok(lines[0]?.includes(`sk-gw1_…${own.slice(-4)}`));
    if (format === 'json') JSON.parse(lines[0] ?? '');
  });
}

test('an error is shown with its stack and its causes, as deep as they are worth it', () => {
  const { log, lines } = logger();
  const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const circular = new Error('circular');
  circular.cause = circular;
  log('error', 'failed', { error: new Error('outer', { cause }), circular });
  const { error } = JSON.parse(lines[0] ?? '');
  assert.equal(error.message, 'outer');
  assert.match(error.stack, /log\.test\.ts/);
  assert.deepEqual([error.cause.message, error.cause.code], ['refused', 'ECONNREFUSED']);
});

test('what only resembles a secret stays readable', () => {
  for (const line of [
    'task-force risk-assessment',
    'http://localhost:4000/users/a@b',
    'sk-gw1_…a1b2',
    'bearer of news',
  ])
    assert.equal(redactLooks(line), line);
});

test('a text that a caller has made to be slow is not', () => {
  const redactor = createRedactor();
  for (const piece of ['a-.', 'eyJ-', 'a%3A%2F%2F%3A', 'a://b:', 'eyJaaaaa-']) {
    const text = piece.repeat(Math.ceil(65_536 / piece.length));
    const began = performance.now();
    redactor.apply(text);
    assert.ok(performance.now() - began < 2_000, `${piece}: 9 s without bounds`);
  }
});

test('a registered secret is blotted out whole where another one begins it', () => {
  const redactor = createRedactor();
  for (const secret of ['abcdefgh', 'abcdefghijklmnop.*', 'ab']) redactor.add(secret);
  assert.equal(redactor.apply('x abcdefghijklmnop.* ab'), 'x …op.* ab');
});

const program = `
  const { createLogger } = await import(${JSON.stringify(import.meta.resolve('../../src/kernel/log.ts'))});
  const { log } = createLogger({ level: 'debug', format: process.argv[1], journalStream: process.env.JOURNAL_STREAM });
  log('error', 'one'); log('warn', 'two', { a: 1 }); log('info', 'three'); log('debug', 'four');
`;
const run = (format: string, stderr: number | 'pipe', env = {}) =>
  spawnSync(process.execPath, ['--input-type=module', '-e', program, format], {
    stdio: ['ignore', 'pipe', stderr],
    env,
  });

test('under journald a line begins with its priority and has no time', () => {
  using directory = new TemporaryDirectory();
  const path = directory.write('journal', '');
  for (const [format, expected] of [
    ['auto', ['<3>error one', '<4>warn  two a=1', '<6>info  three', '<7>debug four']],
    ['json', ['<3>{"level":"error","msg":"one"}', '<4>{"level":"warn","a":1,"msg":"two"}']],
  ] as const) {
    const descriptor = openSync(path, 'w');
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    const { status } = run(format, descriptor, { JOURNAL_STREAM: `${dev}:${ino}` });
    closeSync(descriptor);
    assert.equal(status, 0);
    assert.deepEqual(readFileSync(path, 'utf8').split('\n').slice(0, expected.length), expected);
  }
});

test('a stream of systemd that standard error is not makes no difference, and a pipe gets JSON', () => {
  const { stderr } = run('auto', 'pipe', { JOURNAL_STREAM: '1:2' });
  assert.match(stderr.toString(), /^\{"level":"error","time":"/);
});

test('the command line does not pay for the logger until it logs', () => {
  const path = join(import.meta.dirname, '../../src/kernel/log.ts');
  const check = `await import(${JSON.stringify(path)}); const { createRequire } = await import('node:module');
    const loaded = Object.keys(createRequire(${JSON.stringify(path)}).cache); console.log(loaded.filter((n) => /pino/.test(n)).length)`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', check]);
  assert.equal(stdout.toString().trim(), '0');
});
