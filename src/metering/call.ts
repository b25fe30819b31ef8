import type { Charge, Principal, RateLimit } from '../access/principal.ts';
import type { Deployment } from '../models/deployment.ts';
import type { BatchSize } from './batch.ts';
import type { Allowance } from './rate-room.ts';
import type { Units } from './units.ts';
import type { Usage } from './usage.ts';

/** LiteLLM's names for the kinds of calls, as its spend logs have them. */
export type CallType =
  | 'chat_completion'
  | 'text_completion'
  | 'embedding'
  | 'moderation'
  | 'anthropic_messages'
  | 'count_tokens'
  | 'responses'
  | 'get_responses'
  | 'delete_responses'
  | 'cancel_responses'
  | 'list_input_items'
  | 'create_file'
  | 'retrieve_file'
  | 'delete_file'
  | 'file_content'
  | 'create_batch'
  | 'retrieve_batch'
  | 'cancel_batch'
  | 'image_generation'
  | 'image_edit'
  | 'image_variation'
  | 'speech'
  | 'transcription'
  | 'rerank'
  | 'pass_through_endpoint';

/** What is known of a call before it goes out. */
export interface CallStart {
  readonly requestId: string;
  readonly principal: Principal;
  /** What the call must fit into, and is booked on. */
  readonly charge: Charge;
  readonly deployment: Deployment;
  /** How much may be asked of the deployment, by all daemons together; absent where nothing limits it. */
  readonly deploymentLimit?: RateLimit | undefined;
  /** The model the client asked for. */
  readonly model: string;
  /** The name sent upstream. */
  readonly upstreamModel: string;
  readonly callType: CallType;
  readonly stream: boolean;
  readonly startedAt: Date;
  readonly requesterIp: string;
  /** Input tokens, counted or guessed high: what a call costs at least if it is answered. */
  readonly promptTokens: number;
  /** The most output tokens one answer may have, when the request says so. */
  readonly maxCompletionTokens: number | undefined;
  /** How many answers were asked for; each may be as long as the limit says. One when absent. */
  readonly answers?: number;
  /** What it asks for that is not counted in tokens; present for every call whose kind may be paid for like that. */
  readonly units?: Units | undefined;
  /** Of tools that the provider runs, as many as there may be. What was used is told by the answer. */
  readonly toolUses?: Units | undefined;
  /** As the request names it. */
  readonly serviceTier?: string | undefined;
  /** Of a batch: what the calls in it can use. It is booked at the worst case until that is known. */
  readonly batch?: BatchSize | undefined;
  /** The client's `user` field, if any. */
  readonly endUser?: string | undefined;
  /** Which attempt of the client's call this is, counted from 1. One when absent. */
  readonly attempts?: number;
}

export interface CallOutcome {
  /** `success`: answered whole. `interrupted`: cut by client, upstream or shutdown after something was delivered. `failure`: nothing was. */
  readonly status: 'success' | 'interrupted' | 'failure';
  /** The HTTP status the client saw or would have seen. */
  readonly httpStatus: number;
  /** Absent when the upstream reported none and nothing was delivered: then the call costs nothing. */
  readonly usage?: Usage | undefined;
  /** As the answer names it. */
  readonly serviceTier?: string | undefined;
  /** A short text without secrets and without content. */
  readonly error?: string | undefined;
  readonly firstByteAt?: Date | undefined;
  /** Whether no upstream was asked, because the answer was there: it costs nothing. */
  readonly isCached?: boolean | undefined;
  /** Whether what it costs is known later: until then the worst case is booked. */
  readonly isProvisional?: boolean | undefined;
  /** Whether the client's call goes on with another attempt: that one is the request which the limits count. */
  readonly goesOn?: boolean | undefined;
}

export interface Settlement {
  /** Nano-dollars. */
  readonly cost: bigint;
  readonly priceSource: 'model_info' | 'price_file' | 'catalogue' | 'unpriced';
  /** Nano-dollars spent by the key so far, this call included; undefined for the master key. */
  readonly keySpend: bigint | undefined;
}

/** A call that was admitted: its worst case is reserved and its row is on its way into the journal. */
export interface Call {
  /** What is left to ask for, where a limit applies. */
  readonly allowance?: Allowance | undefined;
  /**
   * Waits until the journal holds the call as it is now: before its upstream is called, and before its answer is ended.
   *
   * @throws GatewayError `ledger_unavailable` when the call could not be kept; then it was never admitted
   */
  kept(): Promise<void> | undefined;
  /** Nano-dollars held for it, until it is settled. */
  readonly reserved: bigint;
  /** Notes output tokens already delivered, so that a crash still charges them. Cheap: at most one journal write a second. */
  checkpoint(completionTokens: number): void;
  /**
   * Makes another attempt of a call whose last one cost nothing: what that had reserved is exchanged for what this one
   * can cost, and the row in the journal becomes its row. At once, so that nobody else takes the room in between.
   *
   * @throws GatewayError as `begin` does; then nothing has changed
   */
  redirect(start: CallStart): void;
  /**
   * Books the real cost, frees the reservation and completes the row in the journal, which `kept` waits for. Only the
   * first settlement counts; later ones return the same result.
   */
  settle(outcome: CallOutcome): Settlement;
}
