import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { CallbackSettings, CallbackSetup } from '../callbacks/callback-settings.ts';
import { callbackKinds } from '../kernel/callback-target.ts';
import { parseDuration, toMilliseconds } from '../kernel/duration.ts';
import { targetOf } from './callback-target.ts';
import { unservedCallbacks } from './litellm-keys.ts';
import { showName, type Place } from './problems.ts';
import { members, type StructureContext, type Values } from './structures.ts';
import * as value from './values.ts';
import type { Entry, Tree } from './yaml.ts';

const lists = {
  callbacks: 'litellm_settings.callbacks',
  success: 'litellm_settings.success_callback',
  failure: 'litellm_settings.failure_callback',
} as const;
const queuePath = 'gatewayctl.callbacks';
export const callbackSection = 'callback_settings';
export const callbackPaths = [...Object.values(lists), queuePath] as const;

export interface CallbackContext extends StructureContext {
  readonly warn: (at: Place, key: string, message?: string) => void;
  readonly secret: (value: string) => void;
}

const events = ['llm_api_success', 'llm_api_failure'] as const;
const headers = z.union(
  [z.record(z.string(), z.string()), z.string()],
  'must be a mapping of headers, or a text such as name=value,other=value',
);
const text = z.string('must be a text').min(1, 'must not be empty');
const bytes = z
  .union([z.string(), z.number()])
  .transform(String)
  .pipe(value.size(1024 ** 4));

/** Names in an entry of `callback_settings`; LiteLLM's where it has one. */
export const setupFields = {
  callback_type: z.enum(['langfuse', 'otel', 'generic_api', 'webhook', 'jsonl']),
  event_types: z.array(z.enum(events)).min(1),
  message_logging: z.boolean('must be true or false'),
  allow_private_network: z.boolean('must be true or false'),
  langfuse_public_key: text,
  langfuse_secret_key: text,
  langfuse_secret: text,
  langfuse_host: text,
  endpoint: text,
  headers,
  signing_secret: z.string('must be a text').min(16, 'must be at least 16 characters'),
  service_name: text,
  path: text,
  max_size: bytes,
  max_files: z.int('must be a whole number').min(0).max(1_000),
};
export type SetupValues = Values<typeof setupFields>;

const wait = z
  .string('must be a length of time such as 5s')
  .transform((given) => parseDuration(given))
  .refine((given) => given !== undefined, 'must be a length of time such as 5s')
  .transform((given) => (given ? toMilliseconds(given) : 0));
const queueFields = {
  queue_size: z.int('must be a whole number').min(1).max(1_000_000),
  batch_size: z.int('must be a whole number').min(1).max(10_000),
  flush_interval: wait,
  timeout: wait,
  max_attempts: z.int('must be a whole number').min(1).max(100),
  dead_letter_file: text,
  private_network: z.boolean('must be true or false'),
};

export const noCallbacks: CallbackSettings = {
  callbacks: [],
  queue: { queueSize: 10_000, batchSize: 100, flushIntervalMs: 5_000, timeoutMs: 10_000, maxAttempts: 5 },
  ownersAllowed: 'public',
  deadLetterFile: undefined,
};

/** Reads LiteLLM's callbacks, and how they are reported to. What is wrong is reported with its place. */
export function readCallbacks(trees: ReadonlyMap<string, Tree>, context: CallbackContext): CallbackSettings {
  const given = members(trees.get(queuePath), queueFields, context);
  const { queue } = noCallbacks;
  return {
    callbacks: readSetups(trees, context),
    queue: {
      queueSize: given.queue_size ?? queue.queueSize,
      batchSize: given.batch_size ?? queue.batchSize,
      flushIntervalMs: given.flush_interval ?? queue.flushIntervalMs,
      timeoutMs: given.timeout ?? queue.timeoutMs,
      maxAttempts: given.max_attempts ?? queue.maxAttempts,
    },
    ownersAllowed: given.private_network === true ? 'private' : 'public',
    deadLetterFile: given.dead_letter_file && pathBeside(trees.get(queuePath), given.dead_letter_file),
  };
}

interface Named {
  readonly at: Place;
  onSuccess: boolean;
  onFailure: boolean;
}

function readSetups(trees: ReadonlyMap<string, Tree>, context: CallbackContext): CallbackSetup[] {
  const section = trees.get(callbackSection);
  const entries: ReadonlyMap<string, Entry> = section?.kind === 'map' ? section.entries : new Map();
  if (section && section.kind !== 'map') context.problems.add(section.at, `${callbackSection} must be a mapping`);
  const named = readNames(trees, entries, context);
  for (const [name, { at }] of entries) {
    if (!named.has(name)) context.warn(at, `${callbackSection}.${showName(name) ?? '…'}`, 'is in no list of callbacks');
  }
  return [...named].flatMap(([name, { at, ...on }]) => {
    const entry = entries.get(name)?.value;
    const values = members(entry, setupFields, context);
    const kind = callbackKinds[values.callback_type ?? name];
    if (!kind) {
      context.problems.add(
        entry?.at ?? at,
        `callback_type is missing: one of ${Object.keys(callbackKinds).join(', ')}`,
      );
      return [];
    }
    const place = entry?.at ?? at;
    const beside = (path: string) => resolve(dirname(place.source.path), path);
    const target = targetOf(kind, values, { ...context, at: place, beside });
    if (!target) return [];
    const wanted = values.event_types ?? events;
    return {
      name,
      onSuccess: on.onSuccess && wanted.includes('llm_api_success'),
      onFailure: on.onFailure && wanted.includes('llm_api_failure'),
      messageLogging: values.message_logging ?? false,
      // What the operator's own file names is the operator's choice.
      allowed: (values.allow_private_network ?? true) ? ('private' as const) : ('public' as const),
      target,
    };
  });
}

/** The names in the three lists: `callbacks` is both of the others. */
function readNames(
  trees: ReadonlyMap<string, Tree>,
  entries: ReadonlyMap<string, Entry>,
  context: CallbackContext,
): ReadonlyMap<string, Named> {
  const named = new Map<string, Named>();
  for (const [list, path] of Object.entries(lists)) {
    const tree = trees.get(path);
    for (const item of !tree ? [] : tree.kind === 'list' ? tree.items : [tree]) {
      if (item.kind !== 'scalar' || typeof item.value !== 'string') {
        context.problems.add(item.at, `${path} must be a list of names`);
        continue;
      }
      const name = item.text;
      if (!entries.has(name) && !Object.hasOwn(callbackKinds, name)) {
        refuseUnknown(name, item.at, { path, context });
        continue;
      }
      const found = named.get(name) ?? { at: item.at, onSuccess: false, onFailure: false };
      if (list !== 'failure') found.onSuccess = true;
      if (list !== 'success') found.onFailure = true;
      named.set(name, found);
    }
  }
  return named;
}

/** A callback of LiteLLM's that is not served is warned of, as other settings are; a module of Python's is one. */
function refuseUnknown(
  name: string,
  at: Place,
  { path, context }: { readonly path: string; readonly context: CallbackContext },
): void {
  const isKnown = unservedCallbacks.has(name) || /^[A-Za-z_]\w*(?:\.\w+)+$/.test(name);
  if (isKnown)
    return context.warn(at, path, `names ${name}, which gatewayctl does not serve; nothing is reported to it`);
  const served = Object.keys(callbackKinds).join(', ');
  context.problems.add(at, `${showName(name) ?? 'this'} is no callback: ${served}, or a name in ${callbackSection}`);
}

const pathBeside = (tree: Tree | undefined, path: string): string => resolve(dirname(tree?.at.source.path ?? ''), path);
