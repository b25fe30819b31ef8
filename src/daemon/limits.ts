/** What a peer may take of the daemon. docs/operating.md has the same numbers, for operators. */
export const limits = {
  /** Slow or huge headers are cut before they cost anything; Node checks once a second. */
  http: {
    maxHeaderSize: 16_384,
    headersTimeout: 10_000,
    requestTimeout: 300_000,
    keepAliveTimeout: 65_000,
    connectionsCheckingInterval: 1_000,
  },
  /** Connections in all: the 10,000 streams that one daemon is meant for, and room for those who come to look after it. */
  connections: 12_000,
  /** Connections from one address (of IPv6, one /64): far more than a client's pool of them, far fewer than all. */
  connectionsPerClient: 500,
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
