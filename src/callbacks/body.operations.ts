import { z } from 'zod';
import { label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { BodyService } from './body.service.ts';

interface Needs {
  bodies: BodyService;
}

const reference = label.describe('The call: the x-litellm-call-id of its answer');

const bodyInfo = {
  requestId: z.string().describe('The call'),
  createdAt: timestamp.describe('When it was kept'),
  request: z.string().nullable().describe('The request; null where nothing of it is kept'),
  response: z
    .string()
    .nullable()
    .describe('The answer, of a stream what was written in it; null where nothing is kept'),
  redactedAt: timestamp.nullable().describe('When both were taken away'),
  redactedBy: z.string().nullable().describe('Who did so'),
};

const shown: Partial<CommandLine> = {
  args: ['request_id'],
  columns: ['request_id', 'created_at', 'request', 'response'],
  wide: ['redacted_at', 'redacted_by'],
  headings: { request_id: 'REQUEST-ID', created_at: 'TIME', redacted_at: 'REDACTED', redacted_by: 'BY' },
  id: 'request_id',
};

export const showBody = operation({
  command: ['spend', 'body', 'get'],
  route: ['GET', '/spend/logs/body'],
  summary: 'Show what was asked and answered in a call',
  description: 'Where that is kept: log_bodies. What looks like a credential was blotted out before.',
  input: wire({ requestId: reference }),
  output: answer(bodyInfo),
  access: 'admin',
  cli: {
    ...shown,
    examples: [
      ['By the id in the headers of its answer', 'gatewayctl spend body get 0199f0c4-7a1c-7d52-9f0e-2b1c4d5e6f70'],
    ],
  },
  run: ({ bodies }: Needs, { requestId }) => bodies.get(requestId),
});

export const redactBody = operation({
  command: ['spend', 'body', 'redact'],
  route: ['POST', '/spend/logs/redact'],
  summary: 'Take away what was asked and answered in a call',
  description: 'For good. What the call cost stays in the books.',
  input: wire({ requestId: reference }),
  output: answer(bodyInfo),
  access: 'admin',
  cli: {
    ...shown,
    confirm: 'moderate',
    done: ({ request_id: id }) => `Request and answer of call ${text(id)} are gone`,
    examples: [['In a script', 'gatewayctl spend body redact 0199f0c4-7a1c-7d52-9f0e-2b1c4d5e6f70 --yes']],
  },
  run: ({ bodies }: Needs, { requestId }) => bodies.redact(requestId),
});

export const bodyOperations = [showBody, redactBody] as const;
