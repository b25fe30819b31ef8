import type { Allowed } from '../egress/guard.ts';
import type { AlertEvent } from '../kernel/alert.ts';

/** A URL that is told of budgets. */
export interface AlertWebhook {
  readonly name: string;
  readonly url: string;
  /** Keys of the signatures, the newest first; none where LiteLLM's own setting names the URL, which has no place for one. */
  readonly secrets: readonly Buffer[];
  readonly events: readonly AlertEvent[];
  /** Where it may lead. */
  readonly allowed: Allowed;
}

/** What the configuration says of alerts. */
export interface AlertSettings {
  readonly webhooks: readonly AlertWebhook[];
  /** Percents of a budget, ascending. */
  readonly thresholds: readonly number[];
  /** For how long it is tried to deliver an alert. */
  readonly giveUpMs: number;
  readonly timeoutMs: number;
}

/** What has become of a message that was sent to try a webhook. */
export interface TestedWebhook {
  readonly webhook: string;
  readonly id: string;
  readonly delivered: boolean;
  readonly status: number | null;
  readonly error: string | null;
}

/** Tries a webhook, or all of them. */
export type AlertTest = (name: string | undefined) => Promise<TestedWebhook[]>;
