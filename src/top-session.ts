import stringWidth from 'string-width';
import { inkFor } from './cli/colour.ts';
import { interrupted, type Terminal } from './cli/io.ts';
import type { LocalContext } from './cli/local-command.ts';
import { arrowOf, keysIn, Screen } from './cli/screen.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { kinds, type LiveUsage, type Sorting, sortings } from './live/live.wire.ts';
import type { Runtime } from './runtime.ts';
import { linesOf } from './top-view.ts';

export type Look = (wanted: Pick<LiveUsage, 'by'> & { readonly sort: Sorting }) => Promise<LiveUsage>;

interface Watching {
  readonly look: Look;
  /** What was seen first. */
  readonly usage: LiveUsage;
  readonly sort: Sorting;
  readonly everyMs: number;
  readonly onSignal: Runtime['onSignal'];
}

/** Shows it to a person until they have seen enough. @returns the exit status */
export async function watch(context: LocalContext, watching: Watching): Promise<number> {
  const { terminal } = context.io;
  if (!terminal) throw new Error('there is no terminal to draw on');
  return new Session(context, watching, terminal).run();
}

/** 128 + SIGTERM. */
const terminated = 143;

class Session {
  readonly #context: LocalContext;
  readonly #watching: Watching;
  readonly #terminal: Terminal;
  readonly #screen: Screen;
  readonly #over = Promise.withResolvers<number>();
  #usage: LiveUsage;
  #by: LiveUsage['by'];
  #sort: Sorting;
  /** What it is that is shown is sorted by. */
  #shownSort: Sorting;
  #skipped = 0;
  #isFrozen = false;
  #trouble: string | undefined;
  #isLooking = false;
  /** A look that is still on its way must not draw over what comes after. */
  #isOver = false;

  constructor(context: LocalContext, watching: Watching, terminal: Terminal) {
    this.#context = context;
    this.#watching = watching;
    this.#terminal = terminal;
    this.#usage = watching.usage;
    this.#by = watching.usage.by;
    this.#sort = this.#shownSort = watching.sort;
    this.#screen = new Screen(context.io);
  }

  async run(): Promise<number> {
    const { onSignal, everyMs } = this.#watching;
    onSignal((signal) => this.#over.resolve(signal === 'SIGINT' ? interrupted : terminated));
    const letGo = this.#terminal.readKeys((pressed) => {
      for (const key of keysIn(pressed)) this.#press(key);
    });
    this.#terminal.onResize(() => this.#draw());
    const timer = setInterval(() => {
      if (!this.#isFrozen) this.#refresh();
    }, everyMs);
    try {
      this.#draw();
      return await this.#over.promise;
    } finally {
      this.#isOver = true;
      clearInterval(timer);
      letGo();
      this.#screen.end();
    }
  }

  #press(key: string): void {
    const arrow = arrowOf(key);
    if (key === 'q' || key === 'Q') return this.#over.resolve(Exit.ok);
    if (key === '\u0003') return this.#over.resolve(interrupted);
    if (key === 'f' || key === ' ') this.#isFrozen = !this.#isFrozen;
    else if (key === 'b') this.#by = after(kinds, this.#by, 1);
    else if (key === 's' || arrow === 'right') this.#sort = after(sortings, this.#sort, 1);
    else if (arrow === 'left') this.#sort = after(sortings, this.#sort, -1);
    else if (arrow === 'up') this.#skipped = Math.max(0, this.#skipped - 1);
    else if (arrow === 'down') this.#skipped = Math.min(Math.max(0, this.#usage.rows.length - 1), this.#skipped + 1);
    else return undefined;
    if (this.#isStale) this.#refresh();
    this.#draw();
  }

  /** Whether what is shown is not what was last asked for. */
  get #isStale(): boolean {
    return this.#usage.by !== this.#by || this.#shownSort !== this.#sort;
  }

  #refresh(): void {
    // One look at a time: a daemon that answers slowly is not asked the more.
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look().finally(() => {
      this.#isLooking = false;
      if (this.#trouble === undefined && this.#isStale) this.#refresh();
      this.#draw();
    });
  }

  async #look(): Promise<void> {
    const sort = this.#sort;
    try {
      const usage = await this.#watching.look({ by: this.#by, sort });
      if (usage.by !== this.#usage.by) this.#skipped = 0;
      this.#usage = usage;
      this.#shownSort = sort;
      this.#trouble = undefined;
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** A daemon that restarts is waited for; one that says no is not asked again. */
  #fail(thrown: unknown): void {
    const error = GatewayError.from(thrown);
    const isPassing = ['unavailable', 'timeout', 'upstream'].includes(error.kind);
    if (isPassing) this.#trouble = `${error.message} Trying again.`;
    else this.#over.reject(thrown);
  }

  #draw(): void {
    const { io, global } = this.#context;
    if (this.#isOver) return undefined;
    if (io.isPipeClosed()) return this.#over.resolve(Exit.ok);
    const lines = linesOf({
      usage: this.#usage,
      sort: this.#sort,
      skipped: Math.min(this.#skipped, Math.max(0, this.#usage.rows.length - 1)),
      isFrozen: this.#isFrozen,
      trouble: this.#trouble,
      size: this.#terminal.size(),
      ink: inkFor('stdout', global.color, io),
      now: io.now(),
      widthOf: (text) => stringWidth(text),
    });
    this.#screen.draw(lines);
    return undefined;
  }
}

const after = <Name>(names: readonly Name[], name: Name, step: number): Name =>
  names[(names.indexOf(name) + step + names.length) % names.length] ?? name;
