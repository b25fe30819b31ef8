import type { Settings } from './config/load.ts';
import { renew } from './config/reloadable.ts';
import type { SettingsSource } from './config/source.ts';
import type { Reloaded } from './daemon/reload.operations.ts';
import { GatewayError } from './kernel/errors.ts';
import type { Log } from './kernel/log.ts';
import { oneAtATime } from './kernel/one-at-a-time.ts';

export interface ReloaderParts {
  readonly source: SettingsSource;
  /** What the daemon began with. */
  readonly settings: Settings;
  /** Puts settings into use: all of it at once, with nothing awaited in between. */
  readonly apply: (settings: Settings) => void;
  readonly log: Log;
  /** Blots a secret out of whatever is logged from now on. */
  readonly redact: (secret: string) => void;
  readonly models: () => number;
}

/** How long a change of the file waits to be noticed. */
const lookMs = 250;

/**
 * Reads the configuration again, when it is told to and when the file changes, and puts into use what can change at run
 * time. A configuration with anything wrong in it is refused whole.
 *
 * Files are looked at rather than listened to: links that are swapped (Kubernetes), file systems of other machines and
 * editors that rename all look the same that way, and one that does not exist yet can be looked for.
 */
export class Reloader implements Disposable {
  readonly #parts: ReloaderParts;
  #running: Settings;
  #print: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #warned: ReadonlySet<string>;
  /** @throws GatewayError with all that is wrong; the configuration in use stays */
  readonly reload: () => Promise<Reloaded>;

  /** @param print of the files as they were read at the start */
  constructor(parts: ReloaderParts, print: string) {
    this.#parts = parts;
    this.#running = parts.settings;
    this.#print = print;
    this.#warned = textsOf(parts.settings);
    this.reload = oneAtATime(() => this.#reload());
    if (parts.settings.watchConfig && parts.settings.configFile !== undefined) this.#lookLater();
  }

  /** For whoever gets no answer: the log has it. */
  readonly request = (): void => {
    this.reload().catch(() => undefined);
  };

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #reload(): Promise<Reloaded> {
    const { source, log } = this.#parts;
    try {
      const read = await source.readQuiet((print) => (this.#print = print));
      return this.#take(read);
    } catch (thrown) {
      const { message, hint } = GatewayError.from(thrown);
      const cause = thrown instanceof GatewayError ? undefined : thrown;
      log('error', `The configuration was not reloaded; the one in use stays. ${message}`, { hint, cause });
      throw refused(thrown);
    }
  }

  #take(read: Settings): Reloaded {
    const { apply, log, redact, models } = this.#parts;
    for (const secret of read.secrets) redact(secret);
    for (const { apiKey } of read.deployments) if (apiKey !== undefined) redact(apiKey);
    const { settings, needsRestart } = renew(this.#running, read);
    apply(settings);
    this.#running = settings;
    for (const warning of read.warnings) {
      if (!this.#warned.has(textOf(warning))) log('warn', textOf(warning));
    }
    this.#warned = textsOf(read);
    if (needsRestart.length > 0) {
      log('warn', `These settings have changed and take effect with the next start: ${needsRestart.join(', ')}`);
    }
    log('info', 'The configuration was reloaded', { file: read.configFile, models: models() });
    return { models: models(), needsRestart: [...needsRestart] };
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => void this.#look(), lookMs).unref();
  }

  async #look(): Promise<void> {
    const print = await this.#parts.source.print();
    if (this.#timer === undefined) return;
    if (print !== this.#print) await this.reload().catch(() => undefined);
    this.#lookLater();
  }
}

type Warning = Settings['warnings'][number];
const textOf = ({ where, key, message }: Warning): string => `${where}: ${key}: ${message}`;
const textsOf = ({ warnings }: Settings): ReadonlySet<string> => new Set(warnings.map(textOf));

/** To whoever asked: it is what they have written that is wrong, and the daemon goes on. */
function refused(thrown: unknown): GatewayError {
  const { message, hint } = GatewayError.from(thrown);
  return new GatewayError('invalid', 'invalid_configuration', message, {
    hint: hint ?? 'The configuration in use stays. Correct the file, and reload again.',
    cause: thrown,
  });
}
