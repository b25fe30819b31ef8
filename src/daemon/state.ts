import type { Actor } from '../kernel/operation.ts';

/** What one middleware leaves for the next, on `ctx.state`. */
export interface State {
  /** Came in through the admin socket, whose file mode is the credential. */
  isLocal: boolean;
  requestId: string;
  actor: Actor;
  body: unknown;
}
