/** Regions that customers can be held to; LiteLLM's names. */
export const regions = ['eu', 'us'] as const;
export type Region = (typeof regions)[number];
