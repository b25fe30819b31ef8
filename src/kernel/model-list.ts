import { GatewayError } from './errors.ts';

/**
 * Refuses to take the last entry from a list of models: an empty list is every model.
 *
 * @param command how to let none be called instead
 */
export function requireSome(rest: readonly string[], param: string, command: string): void {
  if (rest.length > 0) return;
  throw new GatewayError(
    'invalid',
    'invalid_request_error',
    `${param}: nothing would be left, and an empty list is all`,
    { param, hint: `Name no-default-models to let none be called: ${command}` },
  );
}
