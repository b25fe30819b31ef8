import { GatewayError } from '../kernel/errors.ts';

export const unknownTag = (name: string, param: string) =>
  new GatewayError('notFound', 'not_found_error', `Tag ${name} not found`, {
    param,
    hint: 'Which tags there are: gatewayctl tag list',
  });
