import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { colourFlag, isColoured } from '../../src/cli/colour.ts';
import { gatewayctl } from './support/command-line.ts';

const escape = '\u001B[';

describe('colour', () => {
  for (const [what, when, env, isTTY, expected] of [
    ['a terminal has it', undefined, {}, true, true],
    ['a pipe has none', undefined, {}, false, false],
    ['the flag beats all', 'always', { NO_COLOR: '1', TERM: 'dumb' }, false, true],
    ['the flag beats all', 'never', { FORCE_COLOR: '1' }, true, false],
    ['NO_COLOR beats FORCE_COLOR', undefined, { NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    ['an empty NO_COLOR is unset', undefined, { NO_COLOR: '' }, true, true],
    ['FORCE_COLOR reaches a pipe', undefined, { FORCE_COLOR: '1' }, false, true],
    ['CLICOLOR_FORCE reaches a pipe', undefined, { CLICOLOR_FORCE: '1' }, false, true],
    ['CLICOLOR=0 turns it off', undefined, { CLICOLOR: '0' }, true, false],
    ['a dumb terminal has none', undefined, { TERM: 'dumb' }, true, false],
    ['auto looks at the stream', 'auto', {}, true, true],
  ] as const) {
    it(`41: ${what}`, () => assert.equal(isColoured(when, env, isTTY), expected));
  }

  it('41: is decided for each stream', async () => {
    const { out, err } = await gatewayctl('widget list', { tty: { stderr: true }, env: { NO_COLOR: '' } });
    assert.ok(!out.includes(escape));
    assert.ok(!err.includes(escape));
    const wrong = await gatewayctl('widget get nothing', { tty: { stderr: true }, env: { NO_COLOR: '' } });
    assert.ok(wrong.err.includes(escape));
    const bold = await gatewayctl('widget list', { tty: true, env: { NO_COLOR: '' } });
    assert.ok(bold.out.startsWith(`${escape}1mNAME`));
  });

  it('42: is known before anything is parsed', () => {
    assert.equal(colourFlag(['key', '--no-color', '-h']), 'never');
    assert.equal(colourFlag(['--color=always', '--', '--no-color']), 'always');
    assert.equal(colourFlag(['--color', 'never', '--color', 'auto']), 'auto');
  });

  it('43: goes without symbols where they cannot be shown', async () => {
    assert.match((await gatewayctl('widget create --name a', { env: { LANG: 'C' } })).err, /^ok: Widget a created/);
    assert.match((await gatewayctl('widget create --name a', { env: { TERM: 'linux' } })).err, /^ok: /);
  });
});
