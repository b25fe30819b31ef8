import { isRecord } from '../../kernel/record.ts';
import { estimateTokens } from '../../metering/estimate.ts';
import type { Usage } from '../../metering/usage.ts';
import type { Endpoint, ModelRequest, PlainReading, RequestSource } from './endpoint.ts';
import { FormRequest, readForm, textOf } from './form-request.ts';
import { invalid, JsonRequest, modelOf, readJson } from './json-request.ts';
import { readMediaTokens, unitsOnly } from './media-usage.ts';
import { secondsAtLeast, secondsAtMost, secondsOfSubtitles } from './recording.ts';

/** OpenAI's speech from a text (https://platform.openai.com/docs/api-reference/audio/createSpeech). */
export const speech: Endpoint = {
  callType: 'speech',
  path: '/audio/speech',
  read: readSpeech,
  unitsOf: ({ input }) => ({ characters: typeof input === 'string' ? input.length : 0 }),
  // A whole answer in JSON is no sound.
  readAnswer: () => undefined,
  readUsage: (reported) => readMediaTokens(isRecord(reported) ? reported['usage'] : undefined, 'sound'),
  isRaw: () => true,
};

/**
 * Tokens of sound for a byte of text: OpenAI counts some 21 a second, in which 14 bytes are spoken. Nobody reports them
 * but streams of events, so that calls are booked by this.
 */
const soundTokensPerByte = 1.5;

function readSpeech(source: RequestSource): JsonRequest {
  const body = readJson(source);
  const { fields } = body;
  const { input } = fields;
  if (typeof input !== 'string' || input === '') throw invalid('input must be a text', 'input');
  return new JsonRequest(body, modelOf(fields, source.parameter), {
    maxCompletionTokens: Math.ceil((Buffer.byteLength(input) * soundTokensPerByte) / paceOf(fields)),
    units: { characters: input.length },
  });
}

/** Slow speech is longer. Fast speech is not counted as shorter: not every model speaks faster when it is asked to. */
function paceOf({ speed }: Readonly<Record<string, unknown>>): number {
  if (speed === undefined || speed === null) return 1;
  // A text would be a number to some upstreams.
  if (typeof speed !== 'number' || speed <= 0) throw invalid('speed must be a number above 0', 'speed');
  return Math.min(1, speed);
}

/** A recording as text, in its own language (https://platform.openai.com/docs/api-reference/audio/createTranscription). */
export const transcriptions: Endpoint = {
  callType: 'transcription',
  path: '/audio/transcriptions',
  takesForm: true,
  read: readRecording,
  unitsOf: () => ({}),
  readAnswer: ({ text, usage, duration }) =>
    typeof text === 'string' ? { usage: { usage, duration }, serviceTier: undefined, written: () => text } : undefined,
  readText: readTranscript,
  readUsage: readRecordingUsage,
  isRaw: ({ stream }) => stream,
};

/** Subtitles end with the last word, and the recording may go on: the upstream has heard, and counted, all of it. */
function readTranscript(text: string, { secondsAtLeast: atLeast }: ModelRequest): PlainReading {
  const seconds = secondsOfSubtitles(text);
  const duration = seconds === undefined ? undefined : Math.max(seconds, atLeast?.() ?? 0);
  return { usage: { duration }, serviceTier: undefined, written: () => text };
}

/** The same in English (https://platform.openai.com/docs/api-reference/audio/createTranslation). */
export const translations: Endpoint = { ...transcriptions, path: '/audio/translations' };

/** Of a recording, as OpenAI counts them, and of what is said in it at most. */
const soundTokensPerSecond = 10;
const textTokensPerSecond = 5;

function readRecording(source: RequestSource): FormRequest {
  const form = readForm(source, /^file$/);
  const [file, another] = form.files.filter(({ name }) => name === 'file');
  if (!file || another) throw invalid('file must be one file', 'file');
  const seconds = secondsAtMost(file.bytes);
  return new FormRequest(form, source.parameter, {
    promptTokens: estimateTokens(textOf(form, 'prompt') ?? '') + Math.ceil(seconds * soundTokensPerSecond),
    maxCompletionTokens: Math.ceil(seconds * textTokensPerSecond),
    units: { seconds },
    secondsAtLeast: () => secondsAtLeast(file.bytes),
  });
}

/** By tokens or by time, as the upstream says; the duration is in answers with details, and OpenAI bills by it. */
function readRecordingUsage(reported: unknown): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const { usage, duration } = reported;
  const tokens = readMediaTokens(usage, 'text');
  if (tokens) return tokens;
  const seconds = isRecord(usage) && usage['type'] === 'duration' ? usage['seconds'] : duration;
  return typeof seconds === 'number' ? unitsOnly({ seconds }) : undefined;
}
