import { z } from 'zod';
import { secretParams } from './deployment.ts';

const nothing = z.null('has no effect in gatewayctl yet; leave it out').optional();

/**
 * LiteLLM's own parameters of a deployment that are not served. Its clients write out all of them, null where nothing is
 * said, and that is taken; parameters of providers that are not served are unknown.
 */
const names = `
  itpm otpm organization max_budget budget_duration configurable_clientside_auth_params litellm_trace_id
  max_file_size_mb default_api_key_tpm_limit default_api_key_rpm_limit use_in_pass_through use_litellm_proxy
  use_chat_completions_api merge_reasoning_content_in_choices model_info allowed_openai_params extra_headers extra_body ssl_verify
  watsonx_region_name auto_router_config_path
  auto_router_config auto_router_default_model auto_router_embedding_model
`;

const elsewhere = z.null('is kept in a credential: give it there, and name that in litellm_credential_name').optional();

export const unservedParams: Readonly<Record<string, typeof nothing>> = Object.fromEntries([
  ...names
    .trim()
    .split(/\s+/)
    .map((name) => [name, nothing] as const),
  ...secretParams.map((name) => [name, elsewhere] as const),
]);
