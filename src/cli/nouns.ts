/** The headings of the top help, in order. */
export const groups = ['Access', 'Money', 'Routing', 'Daemon', 'This tool'] as const;
export type Group = (typeof groups)[number];

export interface Noun {
  readonly summary: string;
  readonly group: Group;
  /** Shares a line of the top help with the others of its group that few people look for. */
  readonly isMinor?: true;
  /** Spellings that work and are not shown; the plural among them, because LiteLLM's client says `keys`. */
  readonly aliases?: readonly string[];
  /** What one of its rows, and more than one, is called where that is not the noun itself. */
  readonly row?: string;
  readonly plural?: string;
}

/** What commands are about. The one place of the command line that knows the product's nouns, in the order of the help. */
const nouns: Readonly<Record<string, Noun>> = {
  key: { summary: 'Virtual keys: issue, limit, rotate, block', group: 'Access', aliases: ['keys'] },
  'key callback': { summary: 'Where the calls of a key are reported', group: 'Access', aliases: ['callbacks'] },
  team: { summary: 'Teams, their members and limits', group: 'Access', aliases: ['teams'] },
  'team member': { summary: 'Who is in a team', group: 'Access', aliases: ['members'] },
  'team callback': { summary: 'Where the calls of a team are reported', group: 'Access', aliases: ['callbacks'] },
  user: { summary: 'People and their roles', group: 'Access', aliases: ['users'] },
  org: {
    summary: 'Organizations that own teams',
    group: 'Access',
    aliases: ['orgs', 'organization', 'organizations'],
    row: 'organization',
    plural: 'organizations',
  },
  'org member': { summary: 'Who is in an organization', group: 'Access', aliases: ['members'] },
  invitation: {
    summary: 'Invitations of users, for scripts',
    group: 'Access',
    isMinor: true,
    aliases: ['invitations'],
  },
  jwt: { summary: 'Tokens of identity providers', group: 'Access', isMinor: true, aliases: ['jwts'] },
  'jwt mapping': { summary: 'Which claims stand for which virtual keys', group: 'Access', aliases: ['mappings'] },
  customer: {
    summary: 'End users of your applications',
    group: 'Access',
    aliases: ['customers', 'end-user', 'end-users'],
  },
  budget: { summary: 'Budgets to share between keys, users and customers', group: 'Money', aliases: ['budgets'] },
  alert: { summary: 'What was told of budgets', group: 'Money', aliases: ['alerts'] },
  tag: { summary: 'Labels of calls, with budgets of their own', group: 'Money', aliases: ['tags'] },
  spend: { summary: 'What was spent, by whom and on what', group: 'Money', row: 'row', plural: 'rows' },
  prices: {
    summary: 'What models cost, and where that is from',
    group: 'Money',
    aliases: ['price'],
    row: 'price',
    plural: 'prices',
  },
  'spend body': { summary: 'What was asked and answered in calls', group: 'Money', aliases: ['bodies'] },
  audit: { summary: 'Who changed what, and when', group: 'Money', plural: 'audit entries' },
  model: { summary: 'Models and the deployments behind them', group: 'Routing', aliases: ['models'] },
  'model group': { summary: 'Public names, whatever stands behind them', group: 'Routing', aliases: ['groups'] },
  'access-group': {
    summary: 'Names that let several models through at once',
    group: 'Routing',
    aliases: ['access-groups'],
  },
  credential: { summary: "Providers' credentials", group: 'Routing', aliases: ['credentials'] },
  passthrough: {
    summary: "Routes handed on to a provider's own API",
    group: 'Routing',
    aliases: ['passthroughs', 'pass-through'],
  },
  callback: { summary: 'Where calls are reported', group: 'Daemon', aliases: ['callbacks'] },
  cache: {
    summary: 'Answers that are kept and given again',
    group: 'Daemon',
    isMinor: true,
    row: 'answer',
    plural: 'answers',
  },
  daemon: { summary: 'Steer a running daemon', group: 'Daemon', isMinor: true },
  top: { summary: 'Who calls now, and what it costs', group: 'Daemon', row: 'row', plural: 'rows' },
  config: { summary: 'Check and show the configuration', group: 'Daemon' },
  crypto: { summary: 'Look after the encryption of credentials', group: 'Daemon' },
  db: { summary: 'Look after the database', group: 'Daemon' },
  migrate: { summary: 'Bring the database schema up to date', group: 'Daemon' },
};

/** What is known of a noun, or a fair guess at it. */
export function nounOf(path: readonly string[]): Noun {
  const name = path.join(' ');
  return nouns[name] ?? { summary: `Commands about ${path.at(-1) ?? name}`, group: 'This tool' };
}

/** The noun of the first word of a line, which may be another spelling of it. */
export function nounNamed(word: string): string | undefined {
  if (Object.hasOwn(nouns, word)) return word;
  return Object.keys(nouns).find((name) => !name.includes(' ') && nouns[name]?.aliases?.includes(word));
}

/** `key`, `keys`; the last noun of a command. */
export function count(amount: number, path: readonly string[]): string {
  const word = path.at(-1) ?? 'entry';
  const { row, plural } = nounOf(path);
  return amount === 1 ? (row ?? word) : (plural ?? `${row ?? word}s`);
}

/** Where a noun stands in help: those of the table first, in its order. */
export function rank(name: string): number {
  const index = Object.keys(nouns).indexOf(name);
  return index === -1 ? Number.MAX_SAFE_INTEGER : index;
}
