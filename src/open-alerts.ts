import type pg from 'pg';
import { AlertSender } from './alerts/alert-sender.ts';
import type { AlertSettings, AlertTest } from './alerts/alert-settings.ts';
import { AlertWatch } from './alerts/alert-watch.ts';
import { testWebhooks } from './alerts/alert-test.ts';
import { postThrough } from './callbacks/post.ts';
import { Egress } from './egress/egress.ts';
import type { OwnPlaces } from './egress/own-places.ts';
import type { Log } from './kernel/log.ts';

export interface AlertParts {
  readonly pool: pg.Pool;
  readonly log: Log;
  readonly version: string;
  readonly ownPlaces: OwnPlaces;
  readonly settings: () => AlertSettings;
  readonly isEnforced: () => boolean;
}

const connectMs = 5_000;
const longestMs = 20_000;

export type Alerts = ReturnType<typeof openAlerts>;

/** What watches the budgets and tells of them. Nothing is sent before it is started, and what is noted until then is. */
export function openAlerts({ pool, log, version, ownPlaces, settings, isEnforced }: AlertParts) {
  const agent = { headersTimeout: longestMs, bodyTimeout: longestMs, keepAliveTimeout: 10_000 };
  const egress = new Egress({ connectMs, own: ownPlaces, agent });
  const post = postThrough(egress, `gatewayctl/${version}`);
  let sender: AlertSender | undefined;
  const watch = new AlertWatch({ pool, log, settings, isEnforced, onNoted: () => sender?.wake() });
  return {
    watch,
    /** Begins to send. @param daemon the same for each process of this daemon */
    start: (daemon: string): AlertSender => (sender = new AlertSender({ pool, daemon, post, log, settings })),
    /** The settings have changed. */
    renewed: () => sender?.wake(),
    test: ((name) => testWebhooks(post, settings(), name)) satisfies AlertTest,
    async [Symbol.asyncDispose](): Promise<void> {
      await watch.close();
      await egress[Symbol.asyncDispose]();
    },
  };
}
