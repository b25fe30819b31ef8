import { isRecord } from '../../kernel/record.ts';
import type { CallType } from '../../metering/call.ts';
import { type KeptKind, readResponseId, unknownKept } from '../response-ids.ts';
import type { Endpoint, ModelRequest, NamedResponse, PlainReading, RequestSource } from './endpoint.ts';

/** What files and batches have in common: they stay at the upstream that has them, and nothing of them is paid by tokens. */
type Parts = Pick<Endpoint, 'isFree' | 'rename' | 'readAnswer' | 'readUsage'>;

export const keptObject = (object: 'file' | 'batch'): Parts => ({
  isFree: true,
  rename: renameKept,
  readAnswer: (answer) => (answer['object'] === object ? nothingRead : undefined),
  readUsage: () => undefined,
});

const nothingRead: PlainReading = { usage: undefined, serviceTier: undefined, written: () => '' };
const noBytes = Buffer.alloc(0);

export const nothingAsked = {
  stream: false,
  hidesUsage: true,
  maxCompletionTokens: 0,
  answers: 1,
  serviceTier: undefined,
  endUser: undefined,
  tags: [],
} as const;

/** Members of a batch that name files. */
const filesOf: Readonly<Record<string, KeptKind>> = {
  input_file_id: 'batchInput',
  output_file_id: 'file',
  error_file_id: 'file',
};

/** A file or a batch, with the client's names of both in the place of the upstream's. */
function renameKept(json: Buffer, nameFor: (upstreamId: string, kind?: KeptKind) => string): Buffer {
  const answer: unknown = JSON.parse(json.toString());
  if (!isRecord(answer)) return json;
  const isBatch = answer['object'] === 'batch';
  const own: KeptKind = isBatch ? 'batch' : answer['purpose'] === 'batch' ? 'batchInput' : 'file';
  const names = isBatch ? { id: own, ...filesOf } : { id: own };
  for (const [name, kind] of Object.entries(names)) {
    const upstreamId = answer[name];
    if (typeof upstreamId === 'string') answer[name] = nameFor(upstreamId, kind);
  }
  return Buffer.from(JSON.stringify(answer));
}

/** What a client names, of one of these kinds. @throws GatewayError 404 for what was never named here */
export function namedAs(id: string, kinds: readonly KeptKind[], param: string): NamedResponse {
  const unknown = unknownKept(param);
  const kept = kinds.map((kind) => readResponseId(id, kind)).find(Boolean);
  if (!kept) throw unknown(id);
  return { id, kept, unknown };
}

interface Deed {
  readonly callType: CallType;
  readonly object: 'file' | 'batch';
  readonly method: 'GET' | 'DELETE' | 'POST';
  /** Behind the id. */
  readonly tail?: '/cancel' | '/content';
}

/** Something done with a file or a batch that is there. It goes to the deployment that has it. */
export function keptDeed({ callType, object, method, tail }: Deed): Endpoint {
  const path = object === 'file' ? '/files' : '/batches';
  const kinds: readonly KeptKind[] = object === 'file' ? ['batchInput', 'file'] : ['batch'];
  return {
    callType,
    path,
    ...keptObject(object),
    read: ({ parameter: id = '' }: RequestSource): ModelRequest => {
      const response = namedAs(id, kinds, `${object}_id`);
      return {
        ...nothingAsked,
        fields: {},
        model: response.kept.model,
        response,
        method,
        path: `${path}/${encodeURIComponent(response.kept.upstreamId)}${tail ?? ''}`,
        contentType: 'application/json',
        bodyFor: () => noBytes,
      };
    },
    ...(tail === '/content' && { isRaw: () => true, rawType: 'application/octet-stream' }),
  };
}
