import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until } from './support/gateway.ts';

const event = (content: string): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;

/** An upstream whose streams say one word and fall silent. */
async function startTalker() {
  const streams = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      streams.add(response);
      response.on('close', () => streams.delete(response));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event('hello'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    streams,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('many streams at once', () => {
  let talker: Awaited<ReturnType<typeof startTalker>>;
  let gateway: Gateway;
  let key: string;
  const open = new Set<Socket>();
  before(async () => {
    talker = await startTalker();
    gateway = await startGateway({ ownProcess: true, env: { GATEWAYCTL_TRUSTED_PROXIES: '127.0.0.1' } });
    const litellm_params = { model: 'openai/idle', api_base: talker.url, api_key: 'sk-upstream-0123456789' };
    await gateway.request('POST', '/model/new', {
      body: { model_name: 'idle', litellm_params: { ...litellm_params, allow_private_network: true } },
    });
    await gateway.request('POST', '/model/new', { body: { model_name: 'plain', litellm_params: { model: 'mock/x' } } });
    key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key as string;
  });
  after(async () => {
    for (const socket of open) socket.destroy();
    await gateway[Symbol.asyncDispose]();
    talker.close();
  });

  const descriptors = (): number => readdirSync(`/proc/${gateway.daemon.child.pid}/fd`).length;

  async function stream(): Promise<Socket> {
    const socket = connect(Number(new URL(gateway.daemon.url).port), '127.0.0.1');
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    const body = JSON.stringify({ model: 'idle', stream: true, messages: [{ role: 'user', content: 'Hi' }] });
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    let text = '';
    while (!text.includes('hello')) text += String((await once(socket, 'data'))[0]);
    assert.match(text, /^HTTP\/1\.1 200/);
    return socket;
  }

  test('five hundred that say nothing leave room for other calls, and nothing behind them', async () => {
    const files = descriptors();
    await Promise.all(Array.from({ length: 500 }, () => stream()));
    assert.equal(talker.streams.size, 500);
    const begun = performance.now();
    for (let call = 0; call < 20; call++) assert.equal((await gateway.chat(key, 'plain')).status, 200);
    assert.ok(performance.now() - begun < 2_000, 'a call takes less than 100 ms beside them');
    for (const socket of open) socket.destroy();
    await until(() => talker.streams.size === 0, 5_000);
    await until(() => descriptors() <= files + 20, 5_000);
    const booked = async () => {
      const { rows } = await gateway.pool.query<{ count: number }>(
        `select count(*)::int as count from gatewayctl.spend_logs where status = 'interrupted' and completion_tokens > 0`,
      );
      return rows[0]?.count;
    };
    await until(async () => (await booked()) === 500, 20_000);
  });
});
