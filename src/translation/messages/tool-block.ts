import { JsonProgress } from './json-progress.ts';

/** A call of a tool while its input comes. */
export class ToolBlock {
  readonly id: string;
  readonly name: string;
  readonly #input = new JsonProgress();
  /** Whether the provider has said that no more input comes. */
  isEnded = false;
  isSigned = false;

  constructor(id: string, name: string) {
    this.id = id;
    this.name = name;
  }

  get hasInput(): boolean {
    return !this.#input.isEmpty;
  }

  /** A call without arguments has an empty input with some providers; what else is no JSON object is never whole. */
  get isWhole(): boolean {
    return this.#input.isWhole || (this.isEnded && this.#input.isEmpty);
  }

  add(json: string): void {
    this.#input.add(json);
  }
}
