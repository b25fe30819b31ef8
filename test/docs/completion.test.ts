import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { complete, type Lookup } from '../../src/docs/completion.ts';
import { serveCompletion } from '../../src/docs/completion-reply.ts';
import { sampleLookup, sampleProgram } from './sample.ts';

async function offered(line: string, lookup: Lookup = sampleLookup): Promise<readonly string[] | 'files'> {
  const completion = await complete(sampleProgram(), line.split(' '), lookup);
  return completion.kind === 'files' ? 'files' : completion.candidates.map(({ value }) => value);
}

describe('commands', () => {
  test('are offered by their names, hidden ones never', async () => {
    assert.deepEqual(await offered(''), ['key', 'completion', 'help']);
    assert.deepEqual(await offered('__'), []);
  });

  test('are offered under an alias only to somebody who types one', async () => {
    assert.deepEqual(await offered('key '), ['generate', 'delete', 'get']);
    assert.deepEqual(await offered('key ne'), ['new']);
    assert.deepEqual(await offered('keys ge'), ['generate', 'get']);
  });

  test('are offered to somebody who asks for help with one', async () => {
    assert.deepEqual(await offered('help k'), ['key']);
    assert.deepEqual(await offered('help key ge'), ['generate', 'get']);
    assert.deepEqual(await offered('help key get '), []);
  });

  test('carry their summary', async () => {
    assert.deepEqual(await complete(sampleProgram(), ['key', 'del'], sampleLookup), {
      kind: 'values',
      candidates: [{ value: 'delete', description: 'Delete keys' }],
    });
  });
});

describe('flags', () => {
  test('are offered with the global ones, hidden ones never', async () => {
    const all = '--models --team --file --help --version --server --output --quiet';
    assert.deepEqual(await offered('key generate --'), all.split(' '));
    assert.deepEqual(await offered('--ins'), []);
  });

  test('are not offered after --', async () => {
    assert.deepEqual(await offered('key get -- --'), []);
  });

  test('offer their choices, in every spelling of flag and value', async () => {
    assert.deepEqual(await offered('key get --output js'), ['json', 'jsonl']);
    assert.deepEqual(await offered('key get --output=js'), ['--output=json', '--output=jsonl']);
    assert.deepEqual(await offered('key get -o js'), ['json', 'jsonl']);
    assert.deepEqual(await offered('key get -qojs'), ['-qojson', '-qojsonl']);
  });

  test('offer nothing for a value nobody can know', async () => {
    assert.deepEqual(await offered('--server '), []);
    assert.deepEqual(await offered('--nonsense='), []);
  });

  test('complete comma lists and do not repeat what is in one', async () => {
    assert.deepEqual(await offered('key generate --models '), ['gpt-5', 'gpt-5-mini', 'command-r']);
    assert.deepEqual(await offered('key generate --models gpt-5,'), ['gpt-5,gpt-5-mini', 'gpt-5,command-r']);
    assert.deepEqual(await offered('key generate --models=gpt-5,c'), ['--models=gpt-5,command-r']);
  });

  test('that name a file leave it to the shell', async () => {
    assert.equal(await offered('key generate -f '), 'files');
    assert.equal(await offered('key generate --file=x'), 'files');
  });

  test('with a value, hidden or not, do not shift the arguments', async () => {
    assert.deepEqual(await offered('--insecure-argv x key --output json get ci-'), ['ci-runner']);
    assert.deepEqual(await offered('-o json key'), ['key']);
  });
});

describe('arguments', () => {
  test('are looked up by name', async () => {
    assert.deepEqual(await offered('key get ci'), ['ci-runner', 'ci nightly']);
    assert.deepEqual(await offered('completion z'), ['zsh']);
  });

  test('that may be many are not offered twice', async () => {
    assert.deepEqual(await offered('key delete ci-runner ci'), ['ci nightly']);
    assert.deepEqual(await offered('key get ci-runner ci'), []);
  });
});

describe('the look-up', () => {
  test('hears what was typed before, so that it asks the right daemon', async () => {
    const names = mock.fn<Lookup['names']>(async () => []);
    await offered('--server http://far -q key get ci', { ...sampleLookup, names });
    const [what, { prefix, given }] = names.mock.calls[0]!.arguments;
    assert.deepEqual([what, prefix, given], ['key', 'ci', { server: 'http://far', quiet: true }]);
  });

  test('may fail: nothing is offered and nothing is said', async () => {
    assert.deepEqual(await offered('key generate --team '), []);
  });

  test('is given up, and told so, after 800 ms', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const asked = Promise.withResolvers<AbortSignal>();
    const completion = offered('key get ', {
      ...sampleLookup,
      names: async (_what, { signal }) => {
        asked.resolve(signal);
        return new Promise(() => {});
      },
    });
    const signal = await asked.promise;
    t.mock.timers.tick(799);
    assert.equal(signal.aborted, false);
    t.mock.timers.tick(1);
    assert.deepEqual(await completion, []);
    assert.equal(signal.aborted, true);
  });
});

const answer = (...argv: string[]) => serveCompletion(sampleProgram(), argv, sampleLookup);

describe('the answer', () => {
  test('gives zsh and fish the candidates with their descriptions', async () => {
    assert.equal(
      await answer('zsh', 'gatewayctl\nkey\nge'),
      'values\ngenerate\tCreate a virtual key\nget\tShow one key\n',
    );
    assert.equal(await answer('fish', 'gatewayctl\nkey\nget\n"ci n'), 'values\nci nightly\tteam platform\n');
    assert.equal(await answer('zsh', 'gatewayctl\nkey\ngenerate\n-f\n'), 'files\n');
  });

  test('gives bash only what follows the character it broke the word at', async () => {
    assert.equal(await answer('bash', 'gatewayctl key get with:', '=:', '9'), 'values\ncolon:a\ncolon:b\n');
    assert.equal(await answer('bash', 'gatewayctl key get with:', '=', '9'), 'values\nwith:colon:a\nwith:colon:b\n');
    assert.equal(await answer('bash', 'gatewayctl --output=ta', '=:', '9'), 'values\ntable\n');
  });

  test('spells names for bash so that inserting one runs nothing', async () => {
    assert.equal(await answer('bash', "gatewayctl key get '$", '', '9'), 'values\n$(touch pwned)\n');
    assert.equal(await answer('bash', 'gatewayctl key get \\$', '', '9'), 'values\n\\$\\(touch\\ pwned\\)\n');
  });

  test('shows descriptions in bash only where it lists and inserts nothing', async () => {
    const list = 'values\ngenerate  (Create a virtual key)\nget       (Show one key)\n';
    assert.equal(await answer('bash', 'gatewayctl key ge', '', '63'), list);
    assert.equal(await answer('bash', 'gatewayctl key ge', '', '9'), 'values\ngenerate\nget\n');
  });

  test('never holds a control character', async () => {
    assert.doesNotMatch(await answer('zsh', 'gatewayctl\nkey\nget\n'), /bell/);
  });
});
