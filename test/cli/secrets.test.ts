import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayctl } from './support/command-line.ts';
import { newSecret } from './support/widgets.ts';

describe('secrets', () => {
  it('62: are refused on the command line, with the right way', async () => {
    const { err, exit, calls } = await gatewayctl(`widget get ${newSecret}`);
    assert.deepEqual([exit, calls], [2, []]);
    assert.match(err, /^Error: that looks like a secret key\. On the command line it is visible to other users/);
    assert.match(err, /\nGive it on stdin: {3}gatewayctl widget get --key-stdin\n/);
    assert.ok(!err.includes(newSecret));
  });

  it('62: are found wherever they hide', async () => {
    for (const argv of [
      ['widget', 'create', '--name', 'a', '--note', newSecret],
      ['widget', 'create', '--name', 'a', `--note=${newSecret}`],
      ['widget', 'create', '--name', 'a', '--metadata', `{"api_key":"${newSecret}"}`],
      ['widget', 'create', '--name', 'a', '--models', `x,${newSecret}`],
      ['widget', 'delete', 'a', newSecret, '--yes'],
      ['widget', 'list', '--server', 'https://user:pass@gw'],
      ['widget', 'list', '--database-url', 'postgres://u:p@db/gw'],
      ['widget', 'list', '--database-url', 'postgres://u@db/gw?password=p'],
      [newSecret],
    ]) {
      const { exit, calls, err } = await gatewayctl(argv);
      assert.deepEqual([exit, calls], [2, []], argv.join(' '));
      assert.ok(!err.includes(newSecret));
    }
    const put = await gatewayctl(['widget', 'create', '--name', 'a', '--note', newSecret]);
    assert.match(put.err, /gatewayctl widget create --note @\/path\/to\/file/);
    const url = await gatewayctl('widget list --database-url postgres://u:p@db/gw');
    assert.match(url.err, /--database-url @\/path\/to\/url/);
  });

  it('63: of others are not taken from the line either, also when they look like nothing', async () => {
    for (const argv of [
      ['--api-key', 'plainvalue'],
      ['--api-key=plainvalue'],
      ['--api-key', '@@plainvalue'],
      ['--metadata', '{"api_key":"plainvalue"}'],
      ['--metadata', '{"deep":[{"api_key":"plainvalue"}]}'],
    ]) {
      const { exit, calls, err } = await gatewayctl(['widget', 'create', '--name', 'a', ...argv]);
      assert.deepEqual([exit, calls], [2, []], argv.join(' '));
      assert.match(err, /on the command line[^]*@\/path\/to\/file[^]*os\.environ\/NAME/);
      assert.ok(!err.includes('plainvalue'));
    }
    for (const [argv, fields] of [
      [['--api-key', 'os.environ/OPENAI_API_KEY'], { api_key: 'os.environ/OPENAI_API_KEY' }],
      [['--api-key', 'none'], { api_key: null }],
      [['--api-key', '-'], { api_key: 'from stdin' }],
      [['--metadata', '{"api_key":"os.environ/X","a":1}'], { metadata: { api_key: 'os.environ/X', a: 1 } }],
      [['--api-key', 'plainvalue', '--insecure-argv'], { api_key: 'plainvalue' }],
    ] as const) {
      const { input } = await gatewayctl(['widget', 'create', '--name', 'a', ...argv], { stdin: 'from stdin' });
      assert.deepEqual(input, { name: 'a', ...fields });
    }
  });

  it('62: pass when somebody insists', async () => {
    const { input } = await gatewayctl(`widget get ${newSecret} --insecure-argv`);
    assert.deepEqual(input, { widget: newSecret });
  });
});
