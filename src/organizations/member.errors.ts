import { GatewayError } from '../kernel/errors.ts';

export const notAdministered = () =>
  new GatewayError('forbidden', 'auth_error', 'Only administrators of the organization may manage its members', {
    hint: 'Ask an administrator of the organization, or use the key of one.',
  });

export const notWritable = (param: string, why: string) =>
  new GatewayError('forbidden', 'field_not_allowed', `${param}: ${why}`, { param });

/** The same for a user that is not there and for one that is in another organization. */
export const notMember = (user: string, organization: string) =>
  new GatewayError('notFound', 'not_found_error', `User ${user} is not in organization ${organization}`, {
    param: 'user_id',
    hint: `Who is: gatewayctl org member list ${organization}`,
  });

interface Named {
  readonly id: string;
  readonly alias: string;
}

export const alreadyMember = ({ id, alias }: Named, user: string, role: string) =>
  new GatewayError('conflict', 'bad_request_error', `User ${user} is already in organization ${id}`, {
    param: 'user_id',
    // LiteLLM's clients look for 400 where something exists already.
    status: 400,
    hint: `Change the membership instead: gatewayctl org member update ${alias} ${user} --role ${role}`,
  });

/** With a membership comes power over the user. */
export const notYours = (user: string) =>
  new GatewayError('forbidden', 'auth_error', `User ${user} is not of an organization that you administer`, {
    param: 'user_id',
    hint: 'A proxy administrator can add the user.',
  });
