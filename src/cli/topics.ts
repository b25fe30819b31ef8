import { Exit } from '../kernel/errors.ts';
import { globalParameters } from './globals.ts';
import { interrupted, pipeClosed } from './io.ts';

/** Something to read that is not about one command: a help topic, and a manual page of section 7. */
export interface Topic {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs in order; a list stands where it is. */
  readonly body: readonly (string | readonly (readonly [term: string, text: string])[])[];
}

const exitCodes: Topic = {
  name: 'exit-codes',
  summary: 'What the exit status means',
  body: [
    'Scripts may rely on these. They are the same whichever way the gateway is reached.',
    [
      [String(Exit.ok), 'done; also when there was nothing to do or to show'],
      [String(Exit.no), 'the answer is no: a difference was found, a check failed, a question was declined'],
      [
        String(Exit.usage),
        'used wrongly: unknown flag, missing or bad argument, or an answer is needed and nobody can be asked',
      ],
      [String(Exit.notFound), 'there is no such object'],
      [String(Exit.unauthenticated), 'no key, a wrong one, or one that has expired'],
      [String(Exit.forbidden), 'the key is good but may not do this'],
      [String(Exit.conflict), 'it exists with other values, was changed meanwhile, or is still in use'],
      [String(Exit.unreachable), 'gateway or database cannot be reached'],
      [String(Exit.partial), 'some of many failed'],
      [String(Exit.rejected), 'the gateway refused the values'],
      [String(Exit.serverFault), 'the gateway failed'],
      [String(Exit.bug), 'gatewayctl itself failed: please report it'],
      [String(Exit.system), 'the output cannot be written: the disk is full'],
      [String(Exit.tryAgain), 'not now: a limit is reached or something is locked; try again later'],
      [String(Exit.deadline), 'a deadline passed'],
      [String(interrupted), 'ended with Ctrl-C'],
      [String(pipeClosed), 'whoever read the output went away'],
    ],
    'The daemon (gatewayctl serve) ends with the numbers of sysexits.h, which systemd shows by name:',
    [
      [String(Exit.noDatabase), 'no database'],
      [String(Exit.system), 'the operating system refused something'],
      [String(Exit.cannotCreate), 'a port or a socket cannot be had'],
      [String(Exit.noPermission), 'no permission'],
      [String(Exit.config), 'the configuration cannot be used; restarting would not help'],
    ],
  ],
};

const environment: Topic = {
  name: 'environment',
  summary: 'Environment variables',
  body: [
    'A flag beats the environment. A variable that is set to nothing counts as unset.',
    [
      ...globalParameters.flatMap(({ env, name, description }): [string, string][] =>
        env && env !== 'NO_COLOR' ? [[env, `--${name}: ${description}`]] : [],
      ),
      ['GATEWAYCTL_KEY', 'the admin key itself'],
      ['LITELLM_PROXY_URL, LITELLM_PROXY_API_KEY', 'used when the names above are not set'],
      ['DATABASE_URL', 'used when nothing else says where the gateway is'],
      ['CI', 'never ask anything'],
      ['NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM', 'whether output is coloured, in this order'],
      ['COLUMNS', 'how wide to write'],
      ['GATEWAYCTL_FORCE_TTY', 'write as to a terminal of so many columns'],
    ],
  ],
};

const formatting: Topic = {
  name: 'formatting',
  summary: 'How answers are printed',
  body: [
    'On a terminal an answer is a table or a block. Into a pipe it is TSV: no header, nothing shortened, exact numbers, times in UTC. -o chooses:',
    [
      ['table', 'columns that fit the terminal'],
      ['wide', 'all columns, however long the lines become'],
      ['list', 'name: value, a block for each object'],
      ['json', 'what the API answers: an object, or an array for a list'],
      ['jsonl', 'one JSON object on each line'],
      ['yaml', 'the same as YAML'],
      ['csv', 'with a header; texts that a spreadsheet would run as a formula begin with an apostrophe'],
      ['tsv', String.raw`tab-separated; tab, line end and backslash in a value become \t, \n and \\`],
      ['name', 'only ids'],
      ['env', 'OPENAI_API_KEY=… for a command that makes a key, and OPENAI_BASE_URL=… where --server says it'],
    ],
    '--fields a,b.c picks members of the JSON; --columns a,b picks columns; --header heads TSV. -q prints only ids, or only the new secret.',
    'Data goes to stdout, every sentence to stderr.',
  ],
};

const flags: Topic = {
  name: 'flags',
  summary: 'Flags that every command takes',
  body: [
    globalParameters
      .filter(({ isHidden }) => !isHidden)
      .map(({ name, placeholder, description, env }) => [
        `--${name}${placeholder ? ` <${placeholder}>` : ''}`,
        `${description}${env ? ` (env: ${env})` : ''}`,
      ]),
    'Short forms: -o --output, -q --quiet, -v --verbose, -y --yes, -n --limit, -c --config, -h --help, -V --version.',
    'Flags stand before or after their command. -- ends them, for names that begin with a dash.',
  ],
};

const scripting: Topic = {
  name: 'scripting',
  summary: 'gatewayctl in scripts',
  body: [
    'Without a terminal nothing is ever asked: what needs an answer ends with 2 and has done nothing. Pass --yes, or --confirm <name> for what cannot be undone. --no-input does the same on a terminal.',
    'A new key, and nothing else:',
    [['KEY=$(gatewayctl key generate --alias ci -q)', 'the secret alone, into a variable']],
    '--dry-run works with every change: it prints what would be changed, one line for each object, and changes nothing. Errors and exit status are those of the change itself. -o json prints changes and counts. Nothing is asked.',
    '--if-not-exists works with every command that creates something with a name. Is it there with the values given, the command ends with 0 and has changed nothing; has it others, it ends with 6 and lists them. What is not given is not compared. A length of time such as --expires 90d is counted from when the key was made.',
    'A key that is there already has no secret to show: with -q, -o env and into a pipe nothing is printed then, never an id in its place, so that an empty output means that there is nothing new to store. -o json says created: false, and key: null.',
    [
      ['KEY=$(gatewayctl key generate --alias ci --max-budget 25 --if-not-exists -q) || exit', 'a key, or nothing'],
      ['[ -z "$KEY" ] || store "$KEY"', 'only a new one is stored'],
    ],
    '--idempotency-key <uuid> makes a change that can be run again for 24 hours: it is then answered with what the first run answered, a new secret included, and nothing is done twice. The same value with another command or other values ends with 6. Use a new UUID for each change (uuidgen), and keep it as you keep a secret: with it, whoever may call the gateway as you gets the answer. @file and - (standard input) work too.',
    [
      ['ID=$(uuidgen)', 'once, before the first attempt'],
      ['gatewayctl key rotate ci --yes -q --idempotency-key "$ID"', 'as often as it takes to get an answer'],
    ],
    'Errors: the exit status says which kind (gatewayctl help exit-codes). With -o json an error is one JSON object on stderr: code, message, hint, exit_code, request_id.',
    'No secret belongs on a command line, and gatewayctl refuses one: give it in a file, on standard input, or in the environment.',
  ],
};

const selectors: Topic = {
  name: 'selectors',
  summary: 'How objects are named',
  body: [
    'An alias or an id, wherever one is asked for. A key can also be named by its secret, with --key-stdin: it is read from standard input, and only its hash is sent.',
    'Several objects are given one after the other: gatewayctl key delete a b c.',
    'An empty name is an error: it is mostly a variable that was never set.',
    'A flag that takes a text reads it from a file when it begins with @: --metadata @team.json. Two of them are one: @@me is the text @me.',
  ],
};

const units: Topic = {
  name: 'units',
  summary: 'Money, time, lists and nothing',
  body: [
    [
      ['money', 'US dollars as 25 or 25.50; no sign, no comma, no exponent'],
      ['duration', '30s, 15m, 12h, 7d, 1w, 1mo; never where there may be no end'],
      ['date', '2027-02-28, which is its first moment in UTC, or 2027-02-28T09:00:00Z'],
      ['list', '--models a,b --models c: commas and repeating both work'],
      ['object', 'JSON: \'{"team": "web"}\', or @file, or - for standard input'],
      ['none', 'clears a setting: --max-budget none. A flag that is absent leaves it. 0 is zero.'],
    ],
  ],
};

/** In the order in which help lists them. */
export const topics: readonly Topic[] = [exitCodes, environment, formatting, flags, scripting, selectors, units];
