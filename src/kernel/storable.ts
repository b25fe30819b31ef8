import { GatewayError } from './errors.ts';

/** Objects and lists within each other: more is no setting of anybody's, and would overflow the stack of whoever writes it down. */
const DEPTH_AT_MOST = 100;

interface Part {
  readonly value: unknown;
  readonly path: readonly string[];
}

/** JSON allows NUL and halves of surrogate pairs in a text, PostgreSQL neither. */
const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** @throws GatewayError 400 that names the first place where something stands that no database keeps */
export function requireStorable(given: unknown): void {
  const open: Part[] = [{ value: given, path: [] }];
  for (let part = open.pop(); part; part = open.pop()) {
    const { value, path } = part;
    if (typeof value === 'string' && !isStorable(value)) throw notStorable(path);
    if (typeof value !== 'object' || value === null) continue;
    if (path.length > DEPTH_AT_MOST) throw tooDeep(path);
    for (const [name, member] of Object.entries(value)) {
      if (!isStorable(name)) throw notStorable(path);
      if (typeof member === 'string' ? !isStorable(member) : typeof member === 'object') {
        open.push({ value: member, path: [...path, name] });
      }
    }
  }
}

const notStorable = (path: readonly string[]) => wrong(path, 'must not hold NUL or half a surrogate pair');

const tooDeep = (path: readonly string[]) =>
  wrong(path.slice(0, 3), `must not hold more than ${DEPTH_AT_MOST} objects and lists within each other`);

function wrong(path: readonly string[], what: string): GatewayError {
  const param = path.join('.') || undefined;
  const message = param === undefined ? `The input ${what}` : `${param}: ${what}`;
  return new GatewayError('invalid', 'invalid_request_error', message, { param });
}
