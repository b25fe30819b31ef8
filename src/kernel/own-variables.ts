/** Variables that hold what the gateway itself is opened with, under any of the names it reads them by. */
const own = /^os\.environ\/(?:GATEWAYCTL_|LITELLM_(?:MASTER|SALT)_KEY$|(?:DATABASE|REDIS)_)/i;

/**
 * Whether a reference names one of them. What is given over the API goes to an upstream of its giver's choice: so would
 * the master key.
 */
export const namesOwnVariable = (value: string): boolean => own.test(value);

export const ownVariableMessage = 'must not name a variable of the gateway’s own';
