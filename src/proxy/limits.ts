/** How much, and for how long. All of them can be set; all of them are needed, because every wait has an end. */
export interface ProxyLimits {
  /** Calls under way at once, each with a body and an answer in memory. */
  readonly inFlight: number;
  /** Requests of one connection under way at once: further ones that come before the answers to these are refused. */
  readonly pipelined: number;
  /** Of a body, as it came and inflated. */
  readonly bodyBytes: number;
  /** The same of a form with files in it. */
  readonly formBytes: number;
  /** Forms under way at once: each is in memory twice, as it came and as it goes on. */
  readonly forms: number;
  readonly bodyDepth: number;
  readonly bodyNodes: number;
  /** For the request's body, plus a second for every 100 KiB that were announced or have come. */
  readonly bodyMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Of a stream, where it is another. */
  readonly streamFirstByteMs?: number | undefined;
  /** Silence between two pieces of an answer. */
  readonly idleMs: number;
  readonly totalMs: number;
  readonly responseBytes: number;
  readonly responseHeaderBytes: number;
  /** Of an upstream's error, the rest is not read. */
  readonly errorBytes: number;
  readonly eventBytes: number;
  /** How long a client may leave an answer lying before it counts as gone. */
  readonly stalledClientMs: number;
  /** Silence of the upstream after which a stream's client is sent a comment. */
  readonly commentMs: number;
  /** How long a finished stream whose client has left is read on for its usage. */
  readonly usageMs: number;
  /** How many streams may be read on like that at once. */
  readonly usageWaits: number;
  /** How long an answer whose client has left is read on, where its deployment is drained. */
  readonly drainMs: number;
  /** How many answers may be read on like that at once. */
  readonly drains: number;
  /** A credential is read again when a request's body took longer than this. */
  readonly trustMs: number;
}

export const defaultLimits: ProxyLimits = {
  inFlight: 2_000,
  pipelined: 16,
  bodyBytes: 10 * 1024 * 1024,
  formBytes: 32 * 1024 * 1024,
  forms: 32,
  bodyDepth: 64,
  bodyNodes: 200_000,
  bodyMs: 30_000,
  connectMs: 5_000,
  firstByteMs: 60_000,
  idleMs: 60_000,
  totalMs: 600_000,
  responseBytes: 32 * 1024 * 1024,
  responseHeaderBytes: 32 * 1024,
  errorBytes: 64 * 1024,
  eventBytes: 1024 * 1024,
  stalledClientMs: 30_000,
  commentMs: 15_000,
  usageMs: 2_000,
  usageWaits: 64,
  drainMs: 120_000,
  drains: 64,
  trustMs: 500,
};
