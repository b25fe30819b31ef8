import type { IncomingHttpHeaders } from 'node:http';
import type { Usage } from '../../metering/usage.ts';
import type { Deployment } from '../../models/deployment.ts';
import type { Endpoint, ModelRequest } from '../endpoints/endpoint.ts';

/** What is called, and where: enough to say whether it is served there. */
export interface Destination extends Pick<UpstreamRequest, 'deployment' | 'upstreamModel' | 'endpoint'> {
  readonly asked: Pick<ModelRequest, 'fields' | 'path'>;
}

/** A call as a provider gets it. Nothing of the client's is in it but the body. */
export interface UpstreamRequest {
  /** The gateway's id of the call. */
  readonly id: string;
  readonly deployment: Deployment;
  readonly upstreamModel: string;
  readonly endpoint: Endpoint;
  readonly asked: ModelRequest;
  /** How long the client waits for the first byte, where it has said so. */
  readonly firstByteMs?: number | undefined;
}

/** Who is told what comes back, in this order: sent, start, data…, end. `fail` may come at any point and is the last. */
export interface Receiver {
  /** The request is being written to a live connection: from here on the upstream may work on it, and bill. */
  sent(): void;
  start(status: number, headers: IncomingHttpHeaders): void;
  data(chunk: Buffer): void;
  end(): void;
  fail(error: Error): void;
}

/** What a provider has counted of a call. */
export interface Counted {
  readonly usage: Usage;
  /** Whether that is all of it. Otherwise its input is, and of its output what the provider has told so far. */
  readonly isWhole: boolean;
}

/** A call that is under way. */
export interface UpstreamCall {
  /**
   * What the provider has counted, where it answers in another protocol than the client's: what the client gets may tell
   * it late, or not at all. Read when the call is booked, and there also after it was aborted.
   */
  readonly counted?: Counted | undefined;
  pause(): void;
  resume(): void;
  /** Ends it at once, in whatever state it is; the receiver may or may not be told. */
  abort(): void;
}

/** What speaks to one kind of upstream. Never calls the receiver before `send` has returned, except to fail. */
export interface Provider {
  send(request: UpstreamRequest, receiver: Receiver): UpstreamCall;
}
