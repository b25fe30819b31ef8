import type { CallEvent } from './call-event.ts';
import { isSuccess } from './call-event.ts';
import type { CallbackSetup } from './callback-settings.ts';
import type { Destination } from './destination.ts';
import { jsonlFile } from './jsonl-file.ts';
import { langfuse } from './langfuse.ts';
import type { Post } from './post.ts';
import { webhook } from './webhook.ts';

/** Makes what reports to a callback. @param name for the operator, where it is not the callback's own */
export async function destinationFor(
  setup: CallbackSetup,
  { post, version, name = setup.name }: { readonly post: Post; readonly version: string; readonly name?: string },
): Promise<Destination> {
  const { target, onSuccess, onFailure, allowed } = setup;
  const common = {
    name,
    allowed,
    hasBodies: setup.messageLogging,
    wants: (event: CallEvent) => (isSuccess(event) ? onSuccess : onFailure),
  };
  if (target.kind === 'langfuse') return langfuse({ ...target, ...common }, post);
  if (target.kind === 'webhook') return webhook({ ...target, ...common }, post);
  if (target.kind === 'jsonl') return jsonlFile({ ...target, ...common });
  // Where no span is sent, nobody pays for what makes them.
  const { otel } = await import('./otel.ts');
  return otel({ ...target, ...common, version }, post);
}
