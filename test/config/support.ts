import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayError } from '../../src/kernel/errors.ts';
import { loadSettings, type Settings, type Surroundings } from '../../src/config/load.ts';

/** A directory that is gone when the test is over. */
export class TemporaryDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'gatewayctl-config-'));

  write(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Settings as an ordinary user without any surroundings but those given would get them. */
export const load = (given: Partial<Surroundings> = {}): Settings =>
  loadSettings({ env: {}, uid: 1000, home: '/home/ann', ...given });

/** Settings from the text of one file. */
export function loadYaml(content: string, given: Partial<Surroundings> = {}): Settings {
  using directory = new TemporaryDirectory();
  directory.write('config.yaml', content);
  return load({ file: 'config.yaml', cwd: directory.path, ...given });
}

/** Its name is random, and may hold whatever is looked for. */
export const withoutDirectory = (text: string): string => text.replaceAll(/\S*gatewayctl-config-\w+\//g, '');

/** What a configuration was refused with; the temporary directory is left out of it. */
export function refusal(act: () => unknown): GatewayError & { readonly shown: string } {
  try {
    act();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return Object.assign(error, { shown: withoutDirectory(error.message) });
  }
  throw new Error('nothing was refused');
}
