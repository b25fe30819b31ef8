import { z } from 'zod';
import { duration } from '../../src/kernel/duration.ts';
import { type AnyOperation, operation } from '../../src/kernel/operation.ts';
import { answer, timestamp, wire } from '../../src/kernel/wire.ts';

const info = {
  keyAlias: z.string().nullable().describe('Its name'),
  expires: timestamp.nullable().describe('Its end'),
};

const nobody = async () => {
  throw new Error('nobody runs this');
};

const generate = operation({
  command: ['key', 'generate'],
  route: ['POST', '/key/generate'],
  alsoAt: [['POST', '/key/new']],
  summary: 'Create a virtual key',
  description: 'The key is shown once.',
  input: wire({
    keyAlias: z.string().describe('A name people use for the key'),
    models: z.array(z.string()).default([]).describe('Models the key may call'),
    duration: duration.optional().describe('How long the key works'),
  }),
  output: answer(info),
  unserved: ['guardrails'],
  access: 'admin',
  cli: { examples: [] },
  run: nobody,
});

const list = operation({
  command: ['key', 'list'],
  route: ['GET', '/key/list'],
  summary: 'List virtual keys',
  input: wire({
    models: z.array(z.string()).optional().describe('Only keys that may call these'),
    metadata: z.record(z.string(), z.string()).optional().describe('Only keys with these members'),
    teamId: z.string().describe('Only keys of this team'),
  }),
  output: answer({ keys: z.array(answer(info)).describe('The keys') }),
  access: 'scoped',
  cli: { examples: [] },
  run: nobody,
});

const rotate = operation({
  command: ['key', 'rotate'],
  route: ['POST', '/key/:key/regenerate'],
  alsoAt: [['POST', '/key/regenerate']],
  summary: 'Replace the secret of a key',
  input: wire({
    key: z.string().describe('The key'),
    grace: duration.optional().describe('How long the old one works'),
  }),
  output: answer(info),
  access: 'admin',
  cli: { examples: [] },
  run: nobody,
});

export const sampleOperations: readonly AnyOperation<never>[] = [generate, list, rotate];
