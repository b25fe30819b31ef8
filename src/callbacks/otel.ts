import { hash } from 'node:crypto';
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { isSuccess, type CallEvent } from './call-event.ts';
import type { Delivery, Destination } from './destination.ts';
import { attributesOf, operationOf } from './otel-attributes.ts';
import { deliveryOf, type Post, type Target } from './post.ts';

/** Loaded only where it is configured: the serialiser takes some 80 ms to load. */

export interface OtelSettings extends Target, Pick<Destination, 'name' | 'wants' | 'hasBodies'> {
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly version: string;
}

type Span = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

/** Spans by OpenTelemetry's conventions for generative AI, as OTLP over HTTP (protobuf). */
export function otel(settings: OtelSettings, post: Post): Destination {
  const { name, wants, hasBodies, headers, serviceName, version } = settings;
  const resource = resourceFromAttributes({ 'service.name': serviceName, 'service.version': version });
  const instrumentationScope = { name: 'gatewayctl', version };
  return {
    name,
    wants,
    hasBodies,
    async deliver(batch, signal): Promise<Delivery> {
      const spans = batch.map((event): Span => ({ ...spanOf(event, hasBodies), resource, instrumentationScope }));
      const body = ProtobufTraceSerializer.serializeRequest(spans);
      if (!body) return { outcome: 'refused', reason: 'It cannot be written as OTLP' };
      const sent = { ...headers, 'content-type': 'application/x-protobuf' };
      return deliveryOf(await post(settings, { headers: sent, body, signal }));
    },
  };
}

/** What follows from the call alone is the same at each attempt: a span that is sent twice is one. */
function spanOf(event: CallEvent, hasBodies: boolean): Omit<Span, 'resource' | 'instrumentationScope'> {
  const { requestId, trace, startedAt, endedAt } = event;
  const digest = hash('sha256', requestId);
  const [, parentTrace, parentSpan] = trace.traceparent?.split('-') ?? [];
  const traceId = parentTrace ?? digest.slice(0, 32);
  const model = event.upstreamModel || event.model;
  return {
    name: `${operationOf(event.callType)} ${model}`,
    kind: SpanKind.CLIENT,
    spanContext: () => ({ traceId, spanId: digest.slice(32, 48), traceFlags: TraceFlags.SAMPLED }),
    ...(parentSpan !== undefined && {
      parentSpanContext: { traceId, spanId: parentSpan, traceFlags: TraceFlags.SAMPLED, isRemote: true },
    }),
    startTime: hrTime(startedAt),
    endTime: hrTime(endedAt),
    duration: hrTime(endedAt - startedAt),
    status: isSuccess(event) ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR },
    attributes: attributesOf(event, hasBodies),
    links: [],
    events: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
