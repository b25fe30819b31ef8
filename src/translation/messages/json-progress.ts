/** Whether the pieces of a JSON text make a whole object by now, told without keeping them. */
export class JsonProgress {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isWhole = false;
  #isEmpty = true;

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Nothing has come but white space. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  add(piece: string): void {
    for (const character of piece) {
      if (this.#isInString) this.#inString(character);
      else this.#outside(character);
    }
  }

  #inString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (character === '\\') this.#isEscaped = true;
    else if (character === '"') this.#isInString = false;
  }

  #outside(character: string): void {
    if (character.trim() === '') return;
    this.#isEmpty = false;
    if (character === '"') this.#isInString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') this.#isWhole = --this.#depth === 0;
  }
}
