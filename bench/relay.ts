import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Agent, request as send } from 'undici';

/**
 * What everything is compared with: the least that passes a call on with Node's server and undici's client, written the
 * way their manuals show. It knows no keys, checks nothing, counts nothing and hides nothing.
 */

const upstream = process.argv[2] ?? '';
const dispatcher = new Agent();

async function relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const { accept = '*/*', authorization = '', 'content-type': type = 'application/json' } = request.headers;
  const { statusCode, headers, body } = await send(upstream + request.url, {
    dispatcher,
    method: 'POST',
    headers: { accept, authorization, 'content-type': type },
    body: Buffer.concat(parts),
  });
  const passed: Record<string, string> = {};
  for (const name of ['content-type', 'content-length']) {
    const value = headers[name];
    if (typeof value === 'string') passed[name] = value;
  }
  response.writeHead(statusCode, passed);
  await pipeline(body, response);
}

const server = createServer((request, response) => {
  relay(request, response).catch(() => response.destroy());
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address) process.stdout.write(`listening on ${address.port}\n`);
});
