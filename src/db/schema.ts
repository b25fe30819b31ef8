/** Everything of ours lives in a schema of its own, so that the database can be shared, with a LiteLLM installation too. */
export const SCHEMA = 'gatewayctl';
