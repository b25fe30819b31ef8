import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { z } from 'zod';
import { isRow, type Row } from './cli/answer.ts';
import type { LocalContext } from './cli/local-command.ts';
import { csvLine } from './cli/separated.ts';
import { visibleJson } from './cli/visible.ts';
import { GatewayError } from './kernel/errors.ts';
import { dateFlags } from './kernel/period.ts';
import { answer, wireSchema } from './kernel/wire.ts';
import { listSpendLogs } from './spend/logs.operations.ts';
import { logInfo } from './spend/spend.wire.ts';

/** Calls a request asks for: as many as one may. */
const AT_ONCE = 1_000;

const members = Object.keys(wireSchema(answer(logInfo)).properties ?? {});

/** What narrows the list, by the flag's name. */
const fields: Readonly<Record<string, string>> = {
  key: 'api_key',
  team: 'team_id',
  user: 'user_id',
  customer: 'end_user',
  model: 'model',
  status: 'status_filter',
};

const text = z.string();

/** The flags of a list of calls as its fields. */
export function wantedBy(options: LocalContext['options']): Record<string, unknown> {
  const named = Object.entries(fields).flatMap(([flag, field]) =>
    options[flag] === undefined ? [] : [[field, options[flag]]],
  );
  return { ...Object.fromEntries(named), ...datesOf(options) };
}

export function datesOf({ since, until }: LocalContext['options']): Record<string, unknown> {
  return {
    ...(since === undefined ? {} : dateFlags.start_date.parse?.(text.parse(since))),
    ...(until === undefined ? {} : dateFlags.end_date.parse?.(text.parse(until))),
  };
}

/**
 * Every call of a list, the newest first, a page at a time: what is booked meanwhile is newer than the first page, so no
 * call is seen twice, and neither side ever holds more than a page.
 */
export async function* callsOf(
  call: (command: string, input: Record<string, unknown>) => Promise<unknown>,
  wanted: Readonly<Record<string, unknown>>,
): AsyncGenerator<readonly Row[]> {
  const command = listSpendLogs.command.join(' ');
  let cursor: string | undefined;
  for (;;) {
    const answered = await call(command, { ...wanted, summarize: false, limit: AT_ONCE, ...(cursor && { cursor }) });
    const rows = Array.isArray(answered) ? answered.filter(isRow) : [];
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (!last || rows.length < AT_ONCE) return;
    cursor = `${String(last['end_time'])},${String(last['request_id'])}`;
  }
}

interface Sink {
  /** @returns false when nobody reads any more */
  write(part: string): Promise<boolean>;
  finish(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

function standardOutput({ io }: LocalContext): Sink {
  return {
    write: async (part) => {
      io.out(part);
      await io.flushed();
      return !io.isPipeClosed() && io.failure() === undefined;
    },
    finish: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Under another name until it is whole, so that nobody takes a part of it for everything. */
async function fileSink(path: string): Promise<Sink> {
  const partial = `${path}.${randomUUID()}.part`;
  const file: FileHandle = await open(partial, 'wx', 0o600).catch((cause: unknown) => {
    throw new GatewayError('cannotCreate', 'cannot_write', `Cannot write ${partial}`, {
      hint: 'Choose a directory that is there and yours.',
      cause,
    });
  });
  let isWhole = false;
  return {
    write: async (part) => {
      await file.writeFile(part);
      return true;
    },
    finish: async () => {
      await file.sync();
      await file.close();
      await rename(partial, path);
      isWhole = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (isWhole) return;
      await file.close();
      await rm(partial, { force: true });
    },
  };
}

function columnsOf({ global }: LocalContext): readonly string[] {
  const columns = global.columns ?? members;
  const unknown = columns.find((each) => !members.includes(each));
  if (unknown === undefined) return columns;
  throw new GatewayError('usage', 'unknown_column', `spend export has no column ${unknown}.`, {
    hint: `Columns: ${members.join(' ')}`,
  });
}

/** Writes calls to a file or to standard output, as many as there are. */
export async function exportSpend(context: LocalContext): Promise<void> {
  const { options, io, global } = context;
  const columns = columnsOf(context);
  const isCsv = options['format'] !== 'jsonl';
  const line = isCsv
    ? (row: Row) => csvLine(columns.map((column) => row[column]))
    : (row: Row) =>
        visibleJson(JSON.stringify(Object.fromEntries(columns.map((column) => [column, row[column] ?? null]))));
  const wanted = wantedBy(options);
  await using gateway = await context.connect();
  await using sink = typeof options['out'] === 'string' ? await fileSink(options['out']) : standardOutput(context);
  if (isCsv) await sink.write(`${columns.join(',')}\n`);
  let amount = 0;
  for await (const rows of callsOf(gateway.call, wanted)) {
    amount += rows.length;
    if (!(await sink.write(rows.map((row) => `${line(row)}\n`).join('')))) return;
  }
  await sink.finish();
  if (!global.quiet) io.err(`${amount.toLocaleString('en-US')} calls written.\n`);
}
