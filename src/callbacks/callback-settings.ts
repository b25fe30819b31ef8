import type { Allowed } from '../egress/guard.ts';
import type { QueueSettings } from './destination.ts';

/** Where calls are reported to, with all it takes to do so. */
export type CallbackTarget =
  | {
      readonly kind: 'langfuse';
      readonly host: string;
      readonly publicKey: string;
      readonly secretKey: string;
    }
  | {
      readonly kind: 'otel';
      /** With its `/v1/traces`. */
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly serviceName: string;
    }
  | {
      readonly kind: 'webhook';
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly signingSecret: string | undefined;
    }
  | {
      readonly kind: 'jsonl';
      readonly path: string;
      readonly maxBytes: number | undefined;
      readonly maxFiles: number;
    };

export interface CallbackSetup {
  readonly name: string;
  readonly onSuccess: boolean;
  readonly onFailure: boolean;
  /** Whether it is told what was asked and answered. */
  readonly messageLogging: boolean;
  /** Where it may lead. */
  readonly allowed: Allowed;
  readonly target: CallbackTarget;
}

/** What the configuration says of callbacks. */
export interface CallbackSettings {
  readonly callbacks: readonly CallbackSetup[];
  readonly queue: QueueSettings;
  /** Where callbacks of teams may lead: on the internet, unless the operator says otherwise. */
  readonly ownersAllowed: Allowed;
  /** Where events are kept that nobody took. */
  readonly deadLetterFile: string | undefined;
}

/** Of a team's own: `success`, `failure`, or both. LiteLLM's words. */
export const callbackTypes = ['success', 'failure', 'success_and_failure'] as const;
export type CallbackType = (typeof callbackTypes)[number];

/** A destination, and what became of what was reported to it. */
export interface CallbackReport {
  readonly name: string;
  /** Of the configuration's; absent for those of teams, and for what keeps bodies. */
  readonly setup: Pick<CallbackSetup, 'onSuccess' | 'onFailure'> | undefined;
  /** Undefined where no daemon was asked. */
  readonly counts: { readonly queued: number; readonly delivered: number; readonly deadLetters: number } | undefined;
}

/** What there is to say without a daemon. */
export const reportsOf = ({ callbacks }: Pick<CallbackSettings, 'callbacks'>): readonly CallbackReport[] =>
  callbacks.map((setup) => ({ name: setup.name, setup, counts: undefined }));
