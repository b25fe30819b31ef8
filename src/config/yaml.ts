import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { Alias, Document, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { showName, type Place, type Problems, type SourceFile } from './problems.ts';

/** YAML as we need it: every part knows its place, and none is anything but these three. */
export type Tree = MapTree | ListTree | ScalarTree;

export interface MapTree {
  readonly kind: 'map';
  readonly at: Place;
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface Entry {
  /** Where the key stands. */
  readonly at: Place;
  readonly value: Tree;
}

export interface ListTree {
  readonly kind: 'list';
  readonly at: Place;
  readonly items: readonly Tree[];
}

export interface ScalarTree {
  readonly kind: 'scalar';
  readonly at: Place;
  readonly value: string | number | boolean | null;
  /** As it is written: a key of digits is not the number it looks like. */
  readonly text: string;
}

/** A configuration of 600 models is below each of these; what a bomb makes of a few bytes is above. */
const limits = { bytes: 1024 ** 2, tokens: 100_000, depth: 20, nodes: 10_000, aliases: 100 } as const;

/** yaml takes 20-110 ms to load, which only who reads a file should pay. */
const loadYaml = (): typeof Yaml => createRequire(import.meta.url)('yaml');

/** Reads a file of one YAML document. What is wrong with it goes to `problems`, and the answer is then undefined. */
export function readYaml(path: string, problems: Problems): Tree | undefined {
  const content = readText(path, problems);
  if (content === undefined) return undefined;
  const source: SourceFile = { path, lines: content.split(/\r\n|\n|\r/) };
  const { Lexer, LineCounter, parseDocument } = loadYaml();
  const counter = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { source, line: Math.max(line, 1), column: Math.max(col, 1) };
  };

  // Before anything recursive or quadratic sees it: 60,000 keys took yaml 38 s, a megabyte of brackets 7 s.
  const start: Place = { source, line: 1, column: 1 };
  const excess = tooMuch(new Lexer().lex(content));
  if (excess) {
    problems.add(start, excess);
    return undefined;
  }
  const document = parseDocument(content, {
    lineCounter: counter,
    prettyErrors: false,
    // Ours: yaml's compares every key with every other.
    uniqueKeys: false,
    merge: false,
    schema: 'core',
    // Not 'silent', which would let a second document pass unseen.
    logLevel: 'error',
  });
  const faults = [...document.errors, ...document.warnings];
  // The rest follows from the first, as a rule.
  for (const { code, pos } of faults.slice(0, 1)) problems.add(place(pos[0]), faultText[code] ?? 'this is not YAML');
  if (faults.length > 0) return undefined;
  return new Reader(document, problems, place).read();
}

function readText(path: string, problems: Problems): string | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const { size } = fstatSync(descriptor);
    if (size <= limits.bytes) return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(descriptor));
    problems.add(path, `is larger than ${limits.bytes / 1024 ** 2} MiB`);
  } catch (error) {
    problems.add(path, whyUnreadable(error));
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  return undefined;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read the file',
  EISDIR: 'is a directory',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8 text',
};

/** Why a file could not be read, in words that name no content. */
export function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons[code] ?? `cannot be read${code ? ` (${code})` : ''}`;
}

function tooMuch(tokens: Iterable<string>): string | undefined {
  let total = 0;
  let depth = 0;
  for (const token of tokens) {
    if (token === '[' || token === '{') depth++;
    if (token === ']' || token === '}') depth--;
    if (depth > limits.depth) return `is nested more than ${limits.depth} deep`;
    if (++total > limits.tokens) return `has more than ${limits.nodes} values`;
  }
  return undefined;
}

/** yaml's own messages quote the text at fault, which may be a secret. */
const faultText: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'this alias has no anchor',
  BAD_DQ_ESCAPE: 'there is a wrong escape in this double-quoted text',
  BAD_INDENT: 'the indentation is wrong here',
  BAD_SCALAR_START: 'a text that begins with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping cannot begin here: is a quote or a line break missing?',
  MISSING_CHAR: 'a character is missing: a colon, a comma, a quote or a bracket',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line: is a colon missing?',
  MULTIPLE_DOCS: 'the file must hold one document',
  RESOURCE_EXHAUSTION: `is nested more than ${limits.depth} deep`,
  TAB_AS_INDENT: 'a tab cannot be used as indentation',
  TAG_RESOLVE_FAILED: 'tags are not supported',
};

const forbidden = new Set(['__proto__', 'constructor', 'prototype']);

/** Turns yaml's nodes into a Tree, following aliases and merge keys (which LiteLLM's parser has) within the limits. */
class Reader {
  readonly #document: Document;
  readonly #problems: Problems;
  readonly #place: (offset: number) => Place;
  readonly #yaml = loadYaml();
  #nodes = 0;
  #aliases = 0;
  #full = false;

  constructor(document: Document, problems: Problems, place: (offset: number) => Place) {
    this.#document = document;
    this.#problems = problems;
    this.#place = place;
  }

  read(): Tree | undefined {
    const { contents } = this.#document;
    const tree = contents ? this.#tree(contents, 0) : nothing(this.#place(0));
    return this.#full ? undefined : tree;
  }

  #tree(node: unknown, depth: number): Tree {
    const { isAlias, isMap, isSeq, isScalar } = this.#yaml;
    const at = this.#at(node);
    if (this.#full) return nothing(at);
    if (++this.#nodes > limits.nodes) return this.#stop(at, `the file has more than ${limits.nodes} values`);
    if (depth > limits.depth) return this.#stop(at, `the file is nested more than ${limits.depth} deep`);
    if (isAlias(node)) return this.#alias(node, at, depth);
    if (isMap(node)) return this.#map(node, at, depth);
    if (isSeq(node)) return this.#list(node, at, depth);
    return isScalar(node) ? scalar(node, at) : nothing(at);
  }

  #alias(alias: Alias, at: Place, depth: number): Tree {
    if (++this.#aliases > limits.aliases) return this.#stop(at, `the file has more than ${limits.aliases} aliases`);
    const target = alias.resolve(this.#document);
    if (target) return this.#tree(target, depth + 1);
    this.#problems.add(at, 'this alias has no anchor');
    return nothing(at);
  }

  #list(list: YAMLSeq, at: Place, depth: number): Tree {
    const items: Tree[] = [];
    for (const item of list.items) {
      if (this.#full) break;
      items.push(this.#tree(item, depth + 1));
    }
    return { kind: 'list', at, items };
  }

  #map(map: YAMLMap, at: Place, depth: number): Tree {
    const entries = new Map<string, Entry>();
    const merged: Tree[] = [];
    for (const pair of map.items) {
      if (this.#full) break;
      const key = this.#key(pair);
      if (!key) continue;
      const value = this.#tree(pair.value, depth + 1);
      if (key.name === '<<') merged.push(value);
      else if (entries.has(key.name))
        this.#problems.add(key.at, `${showName(key.name) ?? 'this key'} stands here twice`);
      else entries.set(key.name, { at: key.at, value });
    }
    for (const other of merged.flatMap((each) => (each.kind === 'list' ? each.items : [each])))
      if (other.kind === 'map')
        for (const [name, entry] of other.entries) if (!entries.has(name)) entries.set(name, entry);
    return { kind: 'map', at, entries };
  }

  #key({ key }: Pair): { name: string; at: Place } | undefined {
    const at = this.#at(key);
    const name = this.#yaml.isScalar(key) ? scalar(key, at).text : '';
    if (name && !forbidden.has(name)) return { name, at };
    this.#problems.add(at, name ? `${name} cannot be a key` : 'a key must be a text');
    return undefined;
  }

  #at(node: unknown): Place {
    return this.#place(this.#yaml.isNode(node) ? startOf(node) : 0);
  }

  #stop(at: Place, message: string): Tree {
    this.#full = true;
    this.#problems.add(at, message);
    return nothing(at);
  }
}

const startOf = (node: Node): number => node.range?.[0] ?? 0;

const nothing = (at: Place): ScalarTree => ({ kind: 'scalar', at, value: null, text: '' });

function scalar({ value, source }: Scalar, at: Place): ScalarTree {
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  if (!isPlain) return nothing(at);
  return { kind: 'scalar', at, value, text: typeof value === 'number' ? (source ?? String(value)) : String(value) };
}
