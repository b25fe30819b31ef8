import type { LanguageModelV4FilePart, LanguageModelV4TextPart } from '@ai-sdk/provider';
import { marked } from './caching.ts';
import { type Fields, invalid, listOf, type Reading, recordOf, textOf } from './reading.ts';

type UserPart = LanguageModelV4TextPart | LanguageModelV4FilePart;

const partMembers = {
  text: new Set(['type', 'text', 'cache_control']),
  image_url: new Set(['type', 'image_url', 'cache_control']),
  input_audio: new Set(['type', 'input_audio', 'cache_control']),
  file: new Set(['type', 'file', 'cache_control']),
};

export function userParts(reading: Reading, content: unknown): UserPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return listOf(content, 'messages.content').flatMap((part) => userPart(reading, recordOf(part, 'messages.content')));
}

function userPart(reading: Reading, part: Fields): UserPart[] {
  const { type } = part;
  if (type !== 'text' && type !== 'image_url' && type !== 'input_audio' && type !== 'file') {
    throw invalid('A part of a message is text, image_url, input_audio or file', 'messages.content.type');
  }
  reading.leaveOthersOut(part, partMembers[type], 'messages.content.');
  const read = { text: readText, image_url: readImage, input_audio: readAudio, file: readFile }[type](reading, part);
  return read ? [{ ...read, ...marked(reading, part) }] : [];
}

/** The texts of a message that may hold nothing else, each with its mark. */
export function textParts(reading: Reading, content: unknown, name: string): LanguageModelV4TextPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return listOf(content, name).map((each) => textPart(reading, recordOf(each, name), name));
}

function textPart(reading: Reading, part: Fields, name: string): LanguageModelV4TextPart {
  if (part['type'] !== 'text') throw invalid(`${name} may hold texts alone`, name);
  reading.leaveOthersOut(part, partMembers.text, `${name}.`);
  return { type: 'text', text: textOf(part['text'], `${name}.text`), ...marked(reading, part) };
}

const readText = (_: Reading, { text }: Fields): UserPart => ({
  type: 'text',
  text: textOf(text, 'messages.content.text'),
});

function readImage(reading: Reading, part: Fields): UserPart {
  const given = part['image_url'];
  const image: Fields = typeof given === 'string' ? { url: given } : recordOf(given, 'image_url');
  const { url, detail } = image;
  if (detail != null && detail !== 'auto') reading.leaveOut('image_url.detail');
  reading.leaveOthersOut(image, new Set(['url', 'detail', 'format']), 'image_url.');
  return fileAt(textOf(url, 'image_url.url'), 'image_url.url', 'image');
}

const recordings: Readonly<Record<string, string>> = { wav: 'audio/wav', mp3: 'audio/mpeg' };

function readAudio(_: Reading, part: Fields): UserPart {
  const { data, format } = recordOf(part['input_audio'], 'input_audio');
  const mediaType = recordings[textOf(format, 'input_audio.format')];
  if (mediaType === undefined) throw invalid('input_audio.format must be wav or mp3', 'input_audio.format');
  return { type: 'file', mediaType, data: { type: 'data', data: base64Of(data, 'input_audio.data') } };
}

/** LiteLLM takes an address in `file_id`; an id of OpenAI's is nothing elsewhere. */
function readFile(reading: Reading, part: Fields): UserPart | undefined {
  const file = recordOf(part['file'], 'file');
  const { file_data: data, file_id: id, filename, format } = file;
  reading.leaveOthersOut(file, new Set(['file_data', 'file_id', 'filename', 'format']), 'file.');
  const name = filename == null ? {} : { filename: textOf(filename, 'file.filename') };
  const kind = format == null ? undefined : textOf(format, 'file.format');
  if (data != null) return { ...fileAt(textOf(data, 'file.file_data'), 'file.file_data', kind), ...name };
  if (typeof id === 'string' && URL.canParse(id)) return { ...fileAt(id, 'file.file_id', kind), ...name };
  reading.leaveOut('file.file_id');
  return undefined;
}

const types: Readonly<Record<string, string>> = {
  gif: 'image/gif',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  pdf: 'application/pdf',
  png: 'image/png',
  webp: 'image/webp',
};

/** @param kind its media type where the address does not show it */
function fileAt(address: string, param: string, kind = 'application/octet-stream'): LanguageModelV4FilePart {
  const data = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w-]+=[^;,]*)*;base64,/.exec(address);
  if (data) {
    const [head, mediaType = kind] = data;
    return { type: 'file', mediaType, data: { type: 'data', data: base64Of(address.slice(head.length), param) } };
  }
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^(?:https?|gs|s3):$/.test(url.protocol)) {
    throw invalid(`${param} must be a data: URL in base64, or an https:// address`, param);
  }
  const ending = /\.(\w{3,4})$/.exec(url.pathname)?.[1]?.toLowerCase() ?? '';
  return { type: 'file', mediaType: types[ending] ?? kind, data: { type: 'url', url } };
}

function base64Of(value: unknown, param: string): string {
  const data = textOf(value, param);
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(data)) return data;
  throw invalid(`${param} must be base64`, param);
}
