/** How much, and for how long. All of them can be set; all of them are needed, because every wait has an end. */
export interface ProxyLimits {
  readonly bodyBytes: number;
  readonly bodyDepth: number;
  readonly bodyNodes: number;
  /** For the request's body, plus a second for every 100 KiB announced. */
  readonly bodyMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
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
}

export const defaultLimits: ProxyLimits = {
  bodyBytes: 10 * 1024 * 1024,
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
};
