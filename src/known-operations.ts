import type { JwtSettings } from './config/jwt-settings.ts';
import { GatewayError } from './kernel/errors.ts';
import { operations } from './operations.ts';

/**
 * A role for an operation that is not there would do less than whoever wrote it believes.
 *
 * @throws GatewayError of kind `config`
 */
export function requireKnownOperations(jwt: JwtSettings | undefined): void {
  const known = new Set(operations.map(({ command }) => command.join(' ')));
  for (const { issuer, roles } of jwt?.issuers ?? []) {
    for (const role of roles) {
      const unknown = role.operations.find((name) => !known.has(name));
      if (unknown === undefined) continue;
      const message = `gatewayctl.jwt.issuers: the role ${role.name} of ${issuer} names "${unknown}", and there is no such operation`;
      throw new GatewayError('config', 'invalid_configuration', message, {
        hint: 'Operations are named as commands are, such as key generate; all of them: gatewayctl help',
      });
    }
  }
}
