import type { LocalContext } from './cli/local-command.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { takeApart } from './jwt/token-parts.ts';

/** Says what stands in a token. Nothing is asked, nothing is verified, and the output says so. */
export async function inspectToken({ args, sources, io, format }: LocalContext): Promise<number> {
  const [source = ''] = args;
  const token = await readToken(source, sources);
  const parts = takeApart(token.trim());
  if (typeof parts === 'string') {
    throw new GatewayError('invalid', 'invalid_token', `That is no JWT the gateway would look at: ${parts}`);
  }
  const { header, payload } = parts;
  if (format === 'json') {
    io.out(`${JSON.stringify({ verified: false, header, payload }, null, 2)}\n`);
    return Exit.ok;
  }
  io.err('Not verified: anybody can write a token that says this. To verify it: gatewayctl jwt test\n');
  io.out(`${section('header', header)}${section('claims', payload)}`);
  return Exit.ok;
}

/** What stands in the arguments of a process everybody on the machine can read: a token is a credential. */
function readToken(source: string, sources: LocalContext['sources']): Promise<string> {
  if (source === '-') return sources.stdin('-');
  if (source.startsWith('@') && source.length > 1) return sources.file(source.slice(1), '@');
  throw new GatewayError('usage', 'secret_on_command_line', 'A token is not given on the command line', {
    hint: 'Others can read it there. Give @file, or - for standard input.',
  });
}

const section = (name: string, members: Readonly<Record<string, unknown>>): string =>
  [
    `${name} (unverified)`,
    ...Object.entries(members).map(([member, value]) => `  ${shown(member)}: ${shown(value)}${moment(member, value)}`),
    '',
  ].join('\n');

/** Whoever wrote the token must not write to the terminal. */
const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
};

function moment(name: string, value: unknown): string {
  if (!['exp', 'iat', 'nbf', 'auth_time'].includes(name) || typeof value !== 'number') return '';
  const date = new Date(value * 1_000);
  return Number.isNaN(date.getTime()) ? '' : ` (${date.toISOString()})`;
}
