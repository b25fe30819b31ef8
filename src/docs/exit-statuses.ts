import { Exit } from '../kernel/errors.ts';

/** What each exit status says, for help and manuals. A new one does not compile until it is explained here. */
const meanings: Readonly<Record<keyof typeof Exit, string>> = {
  ok: 'Done; also when there was nothing to do or nothing was found to list',
  no: 'The answer is no: a difference was found, a check failed, a question was declined',
  usage: 'Used wrongly: an unknown flag, a missing or bad argument, or a question with nobody to answer it',
  notFound: 'There is no such object',
  unauthenticated: 'There is no valid key: none was given, it is wrong or it has expired',
  forbidden: 'The key is valid and does not allow this',
  conflict: 'It exists with other values, was changed meanwhile or is still in use',
  unreachable: 'The gateway or its database cannot be reached',
  partial: 'Some of many failed',
  rejected: 'The gateway refused the values',
  serverFault: 'The gateway, or a provider behind it, failed',
  noDatabase: 'The daemon has no database after all its attempts',
  bug: 'A bug of ours; please report it',
  system: 'The operating system refused: a directory of somebody else, a full disk',
  cannotCreate: 'A port, a socket or a file cannot be made',
  tryAgain: 'Try again later: a rate or a budget is exceeded, or a migration is running',
  noPermission: 'The daemon may not do what it must',
  config: 'The configuration cannot be used; systemd does not restart the daemon on this one',
  deadline: 'The deadline ran out',
};

/** The statuses only the daemon ends with. They are those of sysexits.h, because systemd prints their names. */
const ofDaemon: ReadonlySet<number> = new Set([
  Exit.noDatabase,
  Exit.system,
  Exit.cannotCreate,
  Exit.noPermission,
  Exit.config,
]);

type Row = readonly [status: number, meaning: string];

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the object above
const rows: readonly Row[] = (Object.entries(meanings) as [keyof typeof Exit, string][])
  .map(([name, meaning]): Row => [Exit[name], meaning])
  .toSorted(([a], [b]) => a - b);

/** Every exit status with its meaning, in order. */
export const exitStatuses: readonly Row[] = rows;

/** Those any command may end with. */
export const commonExitStatuses: readonly Row[] = rows.filter(([status]) => !ofDaemon.has(status));
