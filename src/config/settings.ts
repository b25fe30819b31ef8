import type { z } from 'zod';
import { accessSettings } from './access-settings.ts';
import { cacheSettings } from './cache-settings.ts';
import { callSettings } from './call-settings.ts';
import { daemonSettings } from './daemon-settings.ts';
import { routerSettings } from './router-settings.ts';
import type { Setting } from './setting.ts';
import * as value from './values.ts';

/** Every setting of the gateway. To add one, add it to the room it belongs to and read it from `Settings`. */
export const settings = {
  ...daemonSettings,
  ...accessSettings,
  ...callSettings,
  ...routerSettings,
  ...cacheSettings,
} as const;

export type SettingName = keyof typeof settings;

/** A value for each setting. One without a default may be undefined. */
export type SettingValues = {
  readonly [Name in SettingName]:
    | z.output<(typeof settings)[Name]['type']>
    | ((typeof settings)[Name] extends { default: unknown } ? never : undefined);
};

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal are exactly its names
export const settingNames = Object.keys(settings) as SettingName[];

/** A setting as what all of them have in common. */
export const settingOf = (name: SettingName): Setting => settings[name];

/** Variables that name the configuration file: ours, then LiteLLM's. No file is read unless it is named. */
export const configFileVariables = ['GATEWAYCTL_CONFIG', 'CONFIG_FILE_PATH'] as const;

/** How a setting is typed after `serve`. A yes that is the default is only ever turned off: `--no-migrate`. */
export function typedFlag({ flag, type, default: usual }: Setting): string | undefined {
  return flag && type === value.yesNo && usual === 'true' ? `no-${flag}` : flag;
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The file that holds a secret in systemd's `$CREDENTIALS_DIRECTORY`. */
export const credentialName = (name: SettingName): string | undefined =>
  settingOf(name).secret ? kebab(name) : undefined;

/** A row of the settings' documentation. */
export interface SettingRow {
  readonly name: string;
  readonly description: string;
  /** Completes "must be …". */
  readonly takes: string;
  readonly default: string;
  /** All that are looked at, first one first: a secret's `_FILE` variables included. */
  readonly env: readonly string[];
  readonly flag: string | undefined;
  readonly file: readonly string[];
  readonly credential: string | undefined;
  readonly isSecret: boolean;
}

/** All settings, for manual pages and `docs/`. */
export function describeSettings(): SettingRow[] {
  return settingNames.map((name) => {
    const setting = settingOf(name);
    const { type, default: fallback = '', env, file, secret, description } = setting;
    const flag = typedFlag(setting);
    return {
      name,
      description,
      takes: type.meta()?.description ?? '',
      default: typeof fallback === 'string' ? fallback : fallback.rule,
      env: secret ? env.flatMap((variable) => [`${variable}_FILE`, variable]) : env,
      flag: flag && `--${flag}`,
      file: file.map((place) => (typeof place === 'string' ? place : place.path)),
      credential: credentialName(name),
      isSecret: secret !== undefined,
    };
  });
}
