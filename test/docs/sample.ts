import { Argument, Command, Option } from 'commander';
import type { Candidate, Lookup } from '../../src/docs/completion.ts';

const keys: readonly Candidate[] = [
  { value: 'ci-runner', description: 'team platform' },
  { value: 'ci nightly', description: 'team platform' },
  { value: 'with:colon:a' },
  { value: 'with:colon:b' },
  { value: "o'brien" },
  { value: '$(touch pwned)' },
  { value: 'bell\u0007', description: 'never offered' },
];
const models: readonly Candidate[] = [{ value: 'gpt-5' }, { value: 'gpt-5-mini' }, { value: 'command-r' }];

/** A tree as the real one is made: what a flag stands for is known beside the tree, not in it. */
export function sampleProgram(): Command {
  const program = new Command('gatewayctl')
    .description('Administer an AI gateway')
    .helpCommand(false)
    .version('0.1.0')
    .addOption(new Option('--server <url>', 'where the daemon listens'))
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'jsonl', 'tsv']))
    .addOption(new Option('-q, --quiet', 'print ids only'))
    .addOption(new Option('--insecure-argv <text>').hideHelp());
  const key = program.command('key').alias('keys').summary('Virtual keys');
  key
    .helpCommand(false)
    .command('generate')
    .aliases(['create', 'new'])
    .summary('Create a virtual key')
    .option('--models <a,b>', 'models it may call')
    .option('--team <team>', 'the team it belongs to')
    .option('-f, --file <path>', 'read many from a file');
  key.command('delete').summary('Delete keys').addArgument(new Argument('<key...>'));
  key.command('get').summary('Show one key').addArgument(new Argument('<key>'));
  program.command('__complete', { hidden: true });
  program
    .command('completion')
    .summary('Print a completion script')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']));
  program.command('help').summary('Explain a command').addArgument(new Argument('[words...]'));
  return program;
}

export const sampleLookup: Lookup = {
  describe: (target) => {
    const name = target.name();
    if (name === 'models') return { completes: 'model', isList: true };
    if (name === 'key') return { completes: 'key' };
    if (name === 'team') return { completes: 'team' };
    return name === 'file' ? { completes: 'file' } : {};
  },
  names: async (what) => {
    if (what === 'team') throw new Error('the daemon is away');
    return what === 'key' ? keys : models;
  },
};
