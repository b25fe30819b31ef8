import type { ServerResponse } from 'node:http';
import { PretendUpstream, type Received } from '../passthrough/upstream.ts';

interface Body {
  readonly model?: string;
  readonly stream?: boolean;
  readonly tools?: readonly unknown[];
  readonly messages?: readonly { readonly role: string }[];
  readonly input?: unknown;
  readonly response_format?: { readonly type: string };
  readonly text?: { readonly format?: { readonly type: string } };
  readonly encoding_format?: string;
}

const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
const responseUsage = {
  input_tokens: 11,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 7,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 18,
};
const weather = { name: 'weather', arguments: '{"city":"Paris"}' };
const isJson = ({ response_format, text }: Body): boolean =>
  response_format?.type === 'json_schema' || text?.format?.type === 'json_schema';

/** What a model would say: a tool to call at first where there are tools, else some words. */
function said(body: Body): { readonly text: string } | { readonly tool: typeof weather } {
  const last =
    body.messages?.at(-1)?.role === 'tool' || JSON.stringify(body.input ?? '').includes('function_call_output');
  if (body.tools && body.tools.length > 0 && !last) return { tool: weather };
  return { text: isJson(body) ? '{"city":"Paris"}' : 'Hello from upstream' };
}

const events = (response: ServerResponse, list: readonly (object | string)[], named = false): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const each of list) {
    const name = named && typeof each === 'object' && 'type' in each ? `event: ${String(each.type)}\n` : '';
    response.write(`${name}data: ${typeof each === 'string' ? each : JSON.stringify(each)}\n\n`);
  }
  response.end();
};

function chat(body: Body, response: ServerResponse): object | undefined {
  const answer = said(body);
  const base = { id: 'chatcmpl-1', created: 1_700_000_000, model: body.model };
  const call = { id: 'call_1', type: 'function', function: weather };
  const finish_reason = 'tool' in answer ? 'tool_calls' : 'stop';
  if (!body.stream) {
    const content = 'tool' in answer ? { content: null, tool_calls: [call] } : { content: answer.text };
    const message = { role: 'assistant', ...content };
    return { ...base, object: 'chat.completion', choices: [{ index: 0, message, finish_reason }], usage };
  }
  const deltas =
    'tool' in answer
      ? [{ role: 'assistant', tool_calls: [{ index: 0, ...call }] }]
      : answer.text.split(/(?= )/).map((content) => ({ role: 'assistant', content }));
  const chunk = (delta: object, finish: string | null) => ({
    ...base,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const last = { ...base, object: 'chat.completion.chunk', choices: [], usage };
  events(response, [...deltas.map((delta) => chunk(delta, null)), chunk({}, finish_reason), last, '[DONE]']);
  return undefined;
}

function respond(body: Body, response: ServerResponse): object | undefined {
  const answer = said(body);
  const item =
    'tool' in answer
      ? { type: 'function_call', id: 'fc_1', call_id: 'call_1', status: 'completed', ...weather }
      : {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: answer.text, annotations: [] }],
        };
  const whole = {
    id: 'resp_upstream',
    object: 'response',
    created_at: 1_700_000_000,
    status: 'completed',
    model: body.model,
    output: [item],
    usage: responseUsage,
    error: null,
    incomplete_details: null,
  };
  if (!body.stream) return whole;
  const started = { ...whole, status: 'in_progress', output: [], usage: null };
  const written =
    'tool' in answer
      ? [{ type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 0, delta: weather.arguments }]
      : [
          {
            type: 'response.output_text.delta',
            item_id: 'msg_1',
            output_index: 0,
            content_index: 0,
            delta: answer.text,
          },
        ];
  const list = [
    { type: 'response.created', response: started },
    { type: 'response.output_item.added', output_index: 0, item: { ...item, content: [], arguments: '' } },
    ...written,
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: whole },
  ];
  events(
    response,
    list.map((each, sequence_number) => Object.assign(each, { sequence_number })),
    true,
  );
  return undefined;
}

function embed({ input, encoding_format }: Body): object {
  const texts = Array.isArray(input) ? input : [input];
  const vector = [0.5, -0.25];
  const embedding =
    encoding_format === 'base64' ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector;
  return {
    object: 'list',
    data: texts.map((_, index) => ({ object: 'embedding', index, embedding })),
    usage: { prompt_tokens: 4, total_tokens: 4 },
  };
}

export const sound = Buffer.from('ID3 not really sound');
export const picture = Buffer.from('\u0089PNG not really a picture', 'latin1').toString('base64');

function reply({ url, headers, body: text }: Received, response: ServerResponse): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what official clients send
  const body = (headers['content-type']?.startsWith('application/json') ? JSON.parse(text) : {}) as Body;
  const json = (value: object | undefined): void => {
    if (value) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  if (url === '/chat/completions') json(chat(body, response));
  else if (url === '/responses') json(respond(body, response));
  else if (url === '/embeddings') json(embed(body));
  else if (url === '/images/generations') json({ created: 1, data: [{ b64_json: picture }] });
  else if (url === '/audio/speech') response.writeHead(200, { 'content-type': 'audio/mpeg' }).end(sound);
  else if (url === '/audio/transcriptions')
    json({ text: 'What was said', language: 'english', duration: 2, segments: [] });
  else response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such path"}}');
}

/** OpenAI as far as the ordinary calls of official clients go. */
export async function startOpenAi(): Promise<PretendUpstream> {
  const upstream = await new PretendUpstream().listen();
  upstream.reply = reply;
  return upstream;
}
