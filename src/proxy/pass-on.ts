import type { Exchange } from './exchange.ts';

/** Hands bytes of an answer to the client, and lets the upstream wait while that is slower. */
export function passOn(exchange: Exchange, bytes: Buffer): void {
  const { response, upstream, relay } = exchange;
  if (response.write(bytes) || !relay || relay.isPaused) return;
  relay.isPaused = true;
  upstream?.pause();
  exchange.limitStall();
  response.once('drain', () => {
    relay.isPaused = false;
    response.setTimeout(0);
    upstream?.resume();
  });
}
