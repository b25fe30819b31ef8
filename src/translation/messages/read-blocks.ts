import type { LanguageModelV4FilePart, LanguageModelV4TextPart, SharedV4ProviderOptions } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import {
  type Fields,
  flagAt,
  inexpressible,
  listAt,
  malformed,
  optional,
  type Reading,
  recordAt,
  textAt,
} from './reading.ts';

type Part = LanguageModelV4TextPart | LanguageModelV4FilePart;

const ofTexts = new Set(['type', 'text', 'cache_control', 'citations']);
const ofImages = new Set(['type', 'source', 'cache_control']);
const ofDocuments = new Set(['type', 'source', 'cache_control', 'title', 'context', 'citations']);
const fileHint = 'Send the content itself: a file kept at Anthropic is not known to other providers.';

/** Hints at what to cache, for those who sell that. To all others they mean nothing: the answer is the same without. */
export function cachingOf(block: Fields, { features }: Reading): SharedV4ProviderOptions | undefined {
  const { cache_control: control } = block;
  if (!isRecord(control) || features.claude === undefined) return undefined;
  const ttl = control['ttl'] === '1h' ? '1h' : '5m';
  if (features.claude === 'bedrock') return { [features.name]: { cachePoint: { type: 'default', ttl } } };
  return { [features.name]: { cacheControl: { type: 'ephemeral', ttl } } };
}

function cached<P extends Part>(part: P, block: Fields, reading: Reading): P {
  const providerOptions = cachingOf(block, reading);
  return providerOptions ? { ...part, providerOptions } : part;
}

/** What stands in a message as a text, or as blocks, of which a text is one. */
export const blocksAt = (content: unknown, path: string): readonly unknown[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : listAt(content, path);

/** The parts of a block that shows a model something: a text, an image, a document. */
export function readShown(block: Fields, path: string, reading: Reading): readonly Part[] {
  switch (block['type']) {
    case 'text':
      return readText(block, path, reading);
    case 'image':
      return [readImage(block, path, reading)];
    case 'document':
      return readDocument(block, path, reading);
    case 'search_result':
      throw inexpressible(path, 'Send what was found as a text block.');
    default:
      throw unknownBlock(block, path);
  }
}

export function unknownBlock({ type }: Fields, path: string): Error {
  if (typeof type !== 'string') return malformed(`${path}.type`, 'be a string');
  const name = type.length > 64 ? `${type.slice(0, 64)}…` : type;
  return inexpressible(path, 'Take the block out of the message.', `${path} (${name})`);
}

/** One that is empty says nothing, and some providers refuse it. */
export function readText(block: Fields, path: string, reading: Reading): readonly LanguageModelV4TextPart[] {
  reading.allow(block, path, ofTexts);
  const text = textAt(block['text'], `${path}.text`);
  return text === '' ? [] : [cached({ type: 'text', text }, block, reading)];
}

function readImage(block: Fields, path: string, reading: Reading): LanguageModelV4FilePart {
  reading.allow(block, path, ofImages);
  const at = `${path}.source`;
  const source = recordAt(block['source'], at);
  switch (source['type']) {
    case 'base64': {
      const mediaType = textAt(source['media_type'], `${at}.media_type`);
      if (!/^image\/[\w.+-]+$/.test(mediaType)) throw malformed(`${at}.media_type`, 'be that of an image');
      return cached({ type: 'file', mediaType, data: dataIn(source, at) }, block, reading);
    }
    case 'url':
      return cached({ type: 'file', mediaType: 'image', data: urlIn(source, at) }, block, reading);
    case 'file':
      throw inexpressible(at, fileHint);
    default:
      throw malformed(`${at}.type`, 'be base64 or url');
  }
}

function dataIn(source: Fields, path: string): LanguageModelV4FilePart['data'] {
  const data = textAt(source['data'], `${path}.data`);
  // Searched for what it may not hold: to match the whole of it would keep a place to go back to for every character.
  if (data === '' || /[^A-Za-z0-9+/=]/.test(data)) throw malformed(`${path}.data`, 'be base64, without a data: prefix');
  return { type: 'data', data };
}

/** Only of the web: it is fetched by the provider, who should not be sent to look anywhere else. */
function urlIn(source: Fields, path: string): LanguageModelV4FilePart['data'] {
  const url = URL.parse(textAt(source['url'], `${path}.url`));
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw malformed(`${path}.url`, 'be an http or https URL');
  return { type: 'url', url };
}

/** A document that is text is told as text, which every model reads; of a PDF the name and what it is about are told too. */
function readDocument(block: Fields, path: string, reading: Reading): readonly Part[] {
  reading.allow(block, path, ofDocuments);
  const { title, context, citations } = block;
  if (citations != null) refuseCitations(recordAt(citations, `${path}.citations`), path, reading);
  const name = optional(title, `${path}.title`, textAt);
  const about = optional(context, `${path}.context`, textAt);
  const said = [name, about].filter((each) => each !== undefined && each !== '').join('\n');
  const parts = readSource(block, { path, reading, name });
  return said === '' ? parts : [{ type: 'text', text: said }, ...parts];
}

function refuseCitations({ enabled }: Fields, path: string, reading: Reading): void {
  if (optional(enabled, `${path}.citations.enabled`, flagAt) === true) reading.leaveOut(`${path}.citations`);
}

interface Document {
  readonly path: string;
  readonly reading: Reading;
  readonly name: string | undefined;
}

function readSource(block: Fields, { path, reading, name: filename }: Document): readonly Part[] {
  const at = `${path}.source`;
  const source = recordAt(block['source'], at);
  const pdf = { type: 'file', mediaType: 'application/pdf', ...(filename && { filename }) } as const;
  switch (source['type']) {
    case 'base64':
      if (source['media_type'] !== pdf.mediaType) throw malformed(`${at}.media_type`, 'be application/pdf');
      return [cached({ ...pdf, data: dataIn(source, at) }, block, reading)];
    case 'url':
      return [cached({ ...pdf, data: urlIn(source, at) }, block, reading)];
    case 'text':
      return readText({ text: source['data'], cache_control: block['cache_control'] }, at, reading);
    case 'content':
      return blocksAt(source['content'], `${at}.content`).flatMap((each, index) => {
        const inner = `${at}.content.${index}`;
        return readShown(recordAt(each, inner), inner, reading);
      });
    case 'file':
      throw inexpressible(at, fileHint);
    default:
      throw malformed(`${at}.type`, 'be base64, url, text or content');
  }
}
