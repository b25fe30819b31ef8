import type { Deployment } from '../models/deployment.ts';
import { withoutTags } from '../proxy/endpoints/tags.ts';
import { withoutWishes } from '../proxy/wishes.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Whether a call of a deployment leaves out what cannot be expressed. @param otherwise for one that does not say */
export function mayDrop({ params }: Deployment, otherwise: boolean): boolean {
  const own = params['drop_params'];
  return typeof own === 'boolean' ? own : otherwise;
}

/** The members that are for the upstream, without those that the deployment never passes on. */
export function withoutDropped(all: Fields, { params }: Deployment): { fields: Fields; left: readonly string[] } {
  const fields = withoutWishes(withoutTags(all));
  const additional = params['additional_drop_params'];
  const names = Array.isArray(additional) ? additional.filter((name) => typeof name === 'string') : [];
  const left = names.filter((name) => fields[name] !== undefined && fields[name] !== null);
  for (const name of left) delete fields[name];
  return { fields, left };
}

/** How a client learns what was left out of its request. */
export function droppedHeader(names: readonly string[]): Readonly<Record<string, string>> {
  const told = [...new Set(names)].filter((name) => /^[\w.[\]-]{1,128}$/.test(name));
  return told.length === 0 ? {} : { 'x-litellm-dropped-params': told.join(', ').slice(0, 1_024) };
}
