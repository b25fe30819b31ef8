import type { Problems } from './problems.ts';
import type { ScalarTree, Tree } from './yaml.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const prefix = 'os.environ/';

export const isReference = (text: string): boolean => text.startsWith(prefix);

/** A variable, empty ones counting as unset: `X=` in a unit file or a compose file means that there is none. */
export const variable = (env: Environment, name: string): string | undefined =>
  Object.hasOwn(env, name) ? env[name] || undefined : undefined;

/**
 * Resolves LiteLLM's `os.environ/NAME`: the whole text, one variable, and nothing else. The real environment wins over
 * the file's own `environment_variables`, as it wins over every other part of a file.
 */
export class Resolver {
  readonly #env: Environment;
  readonly #problems: Problems;
  readonly #own: ReadonlyMap<string, string>;
  /** Variables of `environment_variables` that something referred to. */
  readonly used = new Set<string>();

  constructor(env: Environment, own: ReadonlyMap<string, string>, problems: Problems) {
    this.#env = env;
    this.#own = own;
    this.#problems = problems;
  }

  /** The text a scalar stands for. Undefined when it is null or empty, and when its variable is missing (a problem). */
  text({ value, text, at }: ScalarTree): string | undefined {
    if (value === null || text === '') return undefined;
    if (typeof value !== 'string' || !isReference(text)) return text;
    const name = text.slice(prefix.length);
    if (!/^[A-Za-z_]\w{0,127}$/.test(name)) {
      this.#problems.add(at, `${prefix} must be followed by the name of an environment variable`);
      return undefined;
    }
    const found = this.variable(name);
    if (found === undefined) this.#problems.add(at, `environment variable ${name} is not set`);
    return found;
  }

  variable(name: string): string | undefined {
    if (this.#own.has(name)) this.used.add(name);
    return variable(this.#env, name) ?? this.#own.get(name);
  }

  /** The plain value of a tree, references resolved at any depth. */
  plain(tree: Tree): unknown {
    if (tree.kind === 'list') return tree.items.map((item) => this.plain(item));
    if (tree.kind === 'map')
      return Object.fromEntries([...tree.entries].map(([name, { value }]) => [name, this.plain(value)]));
    return typeof tree.value === 'string' ? (this.text(tree) ?? null) : tree.value;
  }
}
