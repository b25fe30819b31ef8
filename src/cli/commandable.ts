import type { AnyOperation, CommandLine } from '../kernel/operation.ts';

/** An operation that is a command as well. */
export type Commandable<Services> = AnyOperation<Services> & { readonly cli: CommandLine };

export const isCommandable = <Services>(operation: AnyOperation<Services>): operation is Commandable<Services> =>
  operation.cli !== undefined;
