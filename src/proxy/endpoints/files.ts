import { randomUUID } from 'node:crypto';
import { refuseFormOverrides } from '../overrides.ts';
import { linesFor, readLines } from './batch-lines.ts';
import type { Endpoint, ModelRequest, RequestSource } from './endpoint.ts';
import { invalid } from './json-request.ts';
import { keptDeed, keptObject, nothingAsked } from './kept-objects.ts';
import { type Part, readMultipart, writeMultipart } from './multipart.ts';

/** A file for an upstream to keep (https://platform.openai.com/docs/api-reference/files/create). */
export const createFile: Endpoint = {
  callType: 'create_file',
  path: '/files',
  takesForm: true,
  ...keptObject('file'),
  read: readUpload,
};

export const getFile = keptDeed({ callType: 'retrieve_file', object: 'file', method: 'GET' });
export const deleteFile = keptDeed({ callType: 'delete_file', object: 'file', method: 'DELETE' });
export const getFileContent = keptDeed({ callType: 'file_content', object: 'file', method: 'GET', tail: '/content' });

/** Fields of the form that say where the file goes, and go nowhere themselves. */
const choosing = ['target_model_names', 'target_model_names[]', 'model', 'custom_llm_provider'] as const;
const passedOn: ReadonlySet<string> = new Set(['purpose', 'expires_after[anchor]', 'expires_after[seconds]']);

function readUpload(source: RequestSource): ModelRequest {
  const parts = readMultipart(source.bytes, source.headers['content-type']);
  refuseFormOverrides(parts.map(({ name }) => name).filter((name) => name !== 'custom_llm_provider'));
  const files = parts.filter(({ filename }) => filename !== undefined);
  const [file] = files;
  if (!file || files.length > 1 || file.name !== 'file') throw invalid('file must be one file', 'file');
  const texts = textsOf(parts);
  const purpose = texts.get('purpose');
  if (purpose === undefined) throw invalid('purpose is required', 'purpose');
  const lines = purpose === 'batch' ? readLines(file.bytes) : undefined;
  const inLines = lines?.model;
  const named = namedIn(texts, source);
  if (inLines !== undefined && named !== undefined && named !== inLines) {
    throw invalid(`The lines of the file are for ${inLines}, and the file for ${named}`, 'model');
  }
  const boundary = `gatewayctl-${randomUUID()}`;
  const sent = parts.filter(({ name, filename }) => filename === undefined && passedOn.has(name));
  return {
    ...nothingAsked,
    fields: Object.fromEntries(texts),
    ...(lines && { batch: lines.size }),
    // As a pass-through to the provider is granted: what names no model may be for any of them.
    model: named ?? inLines ?? `${texts.get('custom_llm_provider') ?? 'openai'}/*`,
    contentType: `multipart/form-data; boundary=${boundary}`,
    bodyFor: (upstreamModel) => {
      const bytes = inLines === undefined ? file.bytes : linesFor(file.bytes, upstreamModel);
      return writeMultipart([...sent, { ...file, bytes }], boundary);
    },
  };
}

/** @throws GatewayError 400 for a field that is not known, is there twice or is too long */
function textsOf(parts: readonly Part[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { name, filename, bytes } of parts) {
    if (filename !== undefined) continue;
    if (!passedOn.has(name) && !choosing.some((each) => each === name)) {
      throw invalid(`${name.slice(0, 100)} is no field of a file`, name.slice(0, 100), 'unsupported_field');
    }
    if (texts.has(name)) throw invalid(`${name} must be one value: a file is kept by one provider`, name);
    if (bytes.length > 256) throw invalid(`${name} is longer than 256 bytes`, name);
    if (bytes.length > 0) texts.set(name, bytes.toString());
  }
  return texts;
}

/** The model whose deployment gets the file, where the request names one. */
function namedIn(texts: ReadonlyMap<string, string>, { headers, url }: RequestSource): string | undefined {
  const inForm = texts.get('target_model_names') ?? texts.get('target_model_names[]') ?? texts.get('model');
  const inHeader = headers['x-litellm-model'];
  const inQuery = new URLSearchParams(url.split('?')[1]).get('model');
  const model = inForm ?? (typeof inHeader === 'string' ? inHeader : undefined) ?? inQuery ?? undefined;
  if (model?.includes(',')) throw invalid('target_model_names must be one name', 'target_model_names');
  return model;
}
