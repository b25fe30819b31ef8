import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import {
  APICallError,
  embedMany,
  generateImage,
  generateSpeech,
  generateText,
  isStepCount,
  Output,
  streamText,
  tool,
  transcribe,
} from 'ai';
import { z } from 'zod';
import type { PretendUpstream } from '../passthrough/upstream.ts';
import { type Gateway, startGateway, until } from '../support/gateway.ts';
import { picture, sound, startOpenAi } from './upstream.ts';

let gateway: Gateway;
let upstream: PretendUpstream;
let key: string;

before(async () => {
  [upstream, gateway] = await Promise.all([startOpenAi(), startGateway()]);
  for (const model_name of ['gpt-4o', 'embed', 'draw', 'speak', 'hear']) {
    const { status, text } = await gateway.request('POST', '/model/new', {
      body: {
        model_name,
        litellm_params: {
          model: `openai/${model_name}-upstream`,
          api_base: upstream.url,
          api_key: 'sk-provider-secret-1',
          allow_private_network: true,
        },
      },
    });
    assert.equal(status, 200, text);
  }
  key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

/** Nothing of a client's own key reaches the upstream, and every call has a row. */
async function assertBooked(callTypes: readonly string[]): Promise<void> {
  for (const { headers, body } of upstream.received) {
    assert.equal(headers.authorization, 'Bearer sk-provider-secret-1');
    assert.ok(!JSON.stringify(headers).includes(key) && !body.includes(key));
  }
  await until(async () => {
    const { rows } = await gateway.pool.query<{ call_type: string }>(
      "select distinct call_type from gatewayctl.spend_logs where status = 'success' and not usage_estimated or call_type = 'speech'",
    );
    return callTypes.every((each) => rows.some(({ call_type }) => call_type === each));
  });
}

const weatherOf = z.object({ city: z.string() });

describe("Vercel's ai", () => {
  const provider = () => createOpenAI({ apiKey: key, baseURL: `${gateway.daemon.url}/v1` });
  const tools = {
    weather: tool({
      description: 'The weather',
      inputSchema: weatherOf,
      execute: ({ city }) => Promise.resolve(`sunny in ${city}`),
    }),
  };

  for (const way of ['chat', 'responses'] as const) {
    test(`text, streams, tools and objects by ${way}`, async () => {
      const model = provider()[way]('gpt-4o');
      const plain = await generateText({ model, prompt: 'Hi' });
      assert.equal(plain.text, 'Hello from upstream');
      assert.deepEqual([plain.usage.inputTokens, plain.usage.outputTokens], [11, 7]);

      const stream = streamText({ model, prompt: 'Hi' });
      let streamed = '';
      for await (const piece of stream.textStream) streamed += piece;
      assert.equal(streamed, 'Hello from upstream');
      assert.equal((await stream.usage).totalTokens, 18);
      assert.equal(await stream.finishReason, 'stop');

      const used = await generateText({ model, prompt: 'Weather?', tools, stopWhen: isStepCount(3) });
      assert.deepEqual(
        used.steps.flatMap(({ toolResults }) => toolResults.map(({ output }) => output)),
        ['sunny in Paris'],
      );
      assert.equal(used.text, 'Hello from upstream');

      const calling = streamText({ model, prompt: 'Weather?', tools });
      const called = await calling.toolCalls;
      assert.deepEqual(
        called.map(({ toolName, input }) => [toolName, input]),
        [['weather', { city: 'Paris' }]],
      );

      const { output } = await generateText({ model, prompt: 'Where?', output: Output.object({ schema: weatherOf }) });
      assert.deepEqual(output, { city: 'Paris' });
    });
  }

  test('embeddings, images, speech and transcripts', async () => {
    const openai = provider();
    const { embeddings, usage } = await embedMany({ model: openai.embedding('embed'), values: ['a', 'b'] });
    assert.deepEqual(embeddings, [
      [0.5, -0.25],
      [0.5, -0.25],
    ]);
    assert.equal(usage.tokens, 4);
    const { image } = await generateImage({ model: openai.image('draw'), prompt: 'A cat' });
    assert.equal(image.base64, picture);
    const { audio } = await generateSpeech({ model: openai.speech('speak'), text: 'Hello' });
    assert.deepEqual(Buffer.from(audio.uint8Array), sound);
    const { text } = await transcribe({ model: openai.transcription('hear'), audio: sound });
    assert.equal(text, 'What was said');
  });

  test('a refusal is an error with what to do', async () => {
    const openai = createOpenAI({ apiKey: 'sk-nobody', baseURL: `${gateway.daemon.url}/v1` });
    await assert.rejects(generateText({ model: openai.chat('gpt-4o'), prompt: 'Hi', maxRetries: 0 }), (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, 401);
      return true;
    });
  });
});

describe("LangChain's ChatOpenAI", () => {
  const chat = (useResponsesApi: boolean) =>
    new ChatOpenAI({
      model: 'gpt-4o',
      apiKey: key,
      useResponsesApi,
      maxRetries: 0,
      configuration: { baseURL: `${gateway.daemon.url}/v1` },
    });
  const weather = langchainTool(({ city }: z.output<typeof weatherOf>) => `sunny in ${city}`, {
    name: 'weather',
    description: 'The weather',
    schema: weatherOf,
  });

  for (const useResponsesApi of [false, true]) {
    test(`text, streams, tools and objects ${useResponsesApi ? 'by responses' : 'by chat'}`, async () => {
      const model = chat(useResponsesApi);
      const plain = await model.invoke('Hi');
      assert.equal(plain.text, 'Hello from upstream');
      assert.partialDeepStrictEqual(plain.usage_metadata, { total_tokens: 18 });

      let streamed = '';
      for await (const chunk of await model.stream('Hi')) streamed += chunk.text;
      assert.equal(streamed, 'Hello from upstream');

      const asked = await model.bindTools([weather]).invoke('Weather?');
      assert.deepEqual(
        asked.tool_calls?.map(({ name, args }) => [name, args]),
        [['weather', { city: 'Paris' }]],
      );
      const result = new ToolMessage({ content: 'sunny', tool_call_id: asked.tool_calls?.[0]?.id ?? '' });
      const answered = await model.bindTools([weather]).invoke([new HumanMessage('Weather?'), asked, result]);
      assert.equal(answered.text, 'Hello from upstream');

      const structured = model.withStructuredOutput(weatherOf, { name: 'place', method: 'jsonSchema' });
      assert.deepEqual(await structured.invoke('Where?'), { city: 'Paris' });
    });
  }

  test('embeddings', async () => {
    const embeddings = new OpenAIEmbeddings({
      model: 'embed',
      apiKey: key,
      configuration: { baseURL: `${gateway.daemon.url}/v1` },
    });
    assert.deepEqual(await embeddings.embedDocuments(['a', 'b']), [
      [0.5, -0.25],
      [0.5, -0.25],
    ]);
    await assertBooked(['chat_completion', 'responses', 'embedding', 'image_generation', 'speech', 'transcription']);
  });
});
