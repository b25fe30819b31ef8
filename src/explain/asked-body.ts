import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { Endpoint, ModelRequest } from '../proxy/endpoints/endpoint.ts';
import { defaultLimits } from '../proxy/limits.ts';
import type { Step } from './trace.ts';

export interface AskedBody {
  readonly endpoint: Endpoint;
  readonly body: Readonly<Record<string, unknown>> | undefined;
  readonly model: string;
  readonly path: string;
  /** The model in the path. */
  readonly parameter: string | undefined;
  readonly bodyBytes: number;
  readonly mayTry: boolean;
}

/** A request as the pipeline would read it; without a body, what can be told of one. */
export function readAsked({ endpoint, body, model, path, parameter, bodyBytes, mayTry }: AskedBody): {
  readonly request: ModelRequest | undefined;
  readonly steps: readonly Step[];
} {
  // Files are not asked about.
  if (endpoint.takesForm) return { request: undefined, steps: [] };
  const bytes = Buffer.from(JSON.stringify(parameter === undefined ? { ...body, model } : { ...body }));
  const limits = { ...defaultLimits, bodyBytes: Math.max(bodyBytes, bytes.length) };
  try {
    const request = endpoint.read({ bytes, url: path, headers: {}, parameter, limits, mayTry });
    const detail = 'can be read';
    return { request, steps: body ? [{ check: 'request.body', outcome: 'pass', detail }] : [] };
  } catch (thrown) {
    const error = GatewayError.from(thrown);
    const detail = error.message;
    return { request: undefined, steps: body ? [{ check: 'request.body', outcome: 'deny', detail, error }] : [] };
  }
}

/** What a client of the endpoint is told: not everybody reads OpenAI's types. */
export function inWordsOf({ errorBody }: Endpoint, step: Step): Step {
  if (!step.error || !errorBody) return step;
  const { kind, message, hint, param, headers, status } = step.error;
  const told: unknown = Reflect.get(errorBody(step.error, ''), 'error');
  const type = isRecord(told) && typeof told['type'] === 'string' ? told['type'] : step.error.type;
  return { ...step, error: new GatewayError(kind, type, message, { hint, param, headers, status }) };
}
