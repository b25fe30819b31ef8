/** What a peer may take of the daemon, beside what is a setting. docs/operating.md has the same numbers, for operators. */
export const limits = {
  /** Slow or huge headers are cut before they cost anything; Node checks once a second. */
  http: {
    maxHeaderSize: 16_384,
    headersTimeout: 10_000,
    requestTimeout: 300_000,
    connectionsCheckingInterval: 1_000,
  },
  /** Connections from one address (of IPv6, one /64): far more than a client's pool of them, far fewer than all. */
  connectionsPerClient: 500,
  /** Connections beyond what a listener may have that are told so at one time; further ones are closed. */
  refusedConnections: 64,
  /** Requests on one connection; then it is closed in order, so that clients spread over daemons that were added. */
  requestsPerConnection: 1_000,
  /** How long a refused connection may take to read why. */
  farewellMs: 1_000,
  /** Bytes of an admin request's body, and how long they may take. */
  adminBodyBytes: 1_048_576,
  adminBodyMs: 10_000,
  /** Levels and values of its JSON. */
  bodyDepth: 64,
  bodyNodes: 200_000,
  /** Header fields of a request. Node itself would pass over the 2,001st without a word. */
  fields: 64,
} as const;
