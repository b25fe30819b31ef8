import { isDeepStrictEqual } from 'node:util';
import type { Settings } from './load.ts';
import { routerSettings } from './router-settings.ts';
import { type SettingName, settingNames, settingOf } from './settings.ts';

/** Settings that a running daemon takes on, beside the lists of models and endpoints and all that is said of keys and users. */
const others: readonly SettingName[] = [
  'firstByteTimeout',
  'idleTimeout',
  'totalTimeout',
  'logLevel',
  'enforce',
  'keyAliasFormat',
  'rotationGrace',
];
const reloadable: ReadonlySet<string> = new Set([...Object.keys(routerSettings), ...others]);

/** What a running daemon makes of settings that were read again. */
export interface Renewal {
  /** What can change at run time is as it was read, and the rest as it was. */
  readonly settings: Settings;
  /** What was read and takes effect with the next start, as a file spells it. */
  readonly needsRestart: readonly string[];
}

export function renew(running: Settings, read: Settings): Renewal {
  const fixed = settingNames.filter((name) => !reloadable.has(name));
  const changed = fixed.filter((name) => !isDeepStrictEqual(running[name], read[name]));
  const kept = Object.fromEntries(fixed.map((name) => [name, running[name]]));
  const sources = Object.fromEntries(fixed.map((name) => [name, running.sources[name]]));
  const needsRestart = changed.map(spelled);
  if (!isDeepStrictEqual(running.jwt, read.jwt)) needsRestart.push('gatewayctl.jwt');
  if (!isDeepStrictEqual(running.callbacks, read.callbacks)) needsRestart.push('litellm_settings.callbacks');
  const { jwt, callbacks } = running;
  return {
    settings: { ...read, ...kept, sources: { ...read.sources, ...sources }, jwt, callbacks },
    needsRestart: [...new Set(needsRestart)],
  };
}

function spelled(name: SettingName): string {
  const [place = name] = settingOf(name).file;
  return typeof place === 'string' ? place : place.path;
}
