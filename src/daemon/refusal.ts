import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { GatewayError } from '../kernel/errors.ts';
import { limits } from './limits.ts';

const headersOf = (error: GatewayError, body: string) => ({
  'content-type': 'application/json',
  'content-length': String(Buffer.byteLength(body)),
  ...error.headers,
  connection: 'close',
});

/** Answers a request that goes no further, and ends its connection. */
export function refuse(response: ServerResponse, error: GatewayError): void {
  const body = JSON.stringify(error);
  response.writeHead(error.status, headersOf(error, body));
  response.end(body);
}

/** The same where there is no request to answer: nothing could be read, or nothing was meant to be. */
export function refuseSocket(socket: Socket, error: GatewayError): void {
  const body = JSON.stringify(error);
  const head = Object.entries(headersOf(error, body)).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n${head.join('')}\r\n${body}`);
  setTimeout(() => socket.destroy(), limits.farewellMs).unref();
}

/** What Node's parser and its clocks refuse, in our words. https://nodejs.org/api/http.html#event-clienterror */
export function unreadable(cause: Error): GatewayError {
  const code = 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new GatewayError(
        'tooLarge',
        'headers_too_large',
        `The headers are over ${limits.http.maxHeaderSize} bytes`,
        {
          status: 431,
        },
      );
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new GatewayError('tooLarge', 'body_too_large', 'The chunk extensions of the body are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new GatewayError('timeout', 'request_timeout', 'The request did not arrive in time');
    default:
      return new GatewayError('invalid', 'invalid_http', 'The request is not HTTP as RFC 9112 has it');
  }
}
