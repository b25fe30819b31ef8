import type * as value from './values.ts';

/** One setting: everything there is to know of it. Reading, error messages and manual pages follow from this. */
export interface Setting {
  readonly type: value.Value<unknown>;
  /** As it would be typed; absent for what stays undefined, and a rule where it depends on the surroundings. */
  readonly default?: string | { readonly rule: string };
  /** Environment variables: ours first, then LiteLLM's. */
  readonly env: readonly string[];
  /** Of `serve`, without dashes. One of a secret takes the path of a file, or `@path`, because argv is public. */
  readonly flag?: string;
  /** Places in the configuration file: ours first, then LiteLLM's. */
  readonly file: readonly (string | FilePlace)[];
  /** A file may hold a list: its entries are joined by commas. */
  readonly isList?: true;
  /** Never shown. `password`: a URL, of which only the password is hidden. */
  readonly secret?: 'whole' | 'password';
  readonly description: string;
}

/** A place where LiteLLM writes a bare number; `unit` is what it counts. */
export interface FilePlace {
  readonly path: string;
  readonly unit: 's' | 'MiB';
}

/** A place where LiteLLM writes seconds. */
export const seconds = (path: string): FilePlace => ({ path, unit: 's' });
