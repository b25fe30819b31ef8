import { unservedInfo } from '../models/deployment.ts';

/**
 * Names LiteLLM reads from its configuration and gatewayctl does not serve. They are warned of, by name and line; a
 * name that is neither here nor served is taken for a mistake. From LiteLLM's reference of all settings and its
 * router types, 2026.
 */
const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

export const unservedSections = words(`
  guardrails mcp_servers mcp_tools credential_list vector_store_registry vector_store_index
  finetune_settings files_settings search_tools prompts assistant_settings litellm_license default_vertex_config
  agents cache_params
`);

export const unserved: Readonly<Record<string, ReadonlySet<string>>> = {
  general_settings: words(`
    completion_model disable_spend_logs disable_spend_updates disable_error_logs disable_master_key_return
    disable_retry_on_max_parallel_request_limit_error disable_reset_budget disable_adding_master_key_hash_to_db
    disable_responses_id_security enforce_user_param reject_clientside_metadata_tags allowed_routes
    key_management_system key_management_settings database_connection_timeout database_type database_args
    allow_requests_on_db_unavailable custom_auth custom_auth_settings custom_auth_run_common_checks
    max_parallel_requests global_max_parallel_requests infer_model_from_keys background_health_checks
    health_check_interval health_check_details health_check_concurrency alerting_threshold alerting_args
    alert_types alert_to_webhook_url use_client_credentials_pass_through_routes public_routes enforced_params
    enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings use_x_forwarded_for service_account_settings
    image_generation_model embedding_model moderation_model store_model_in_db supported_db_objects
    user_mcp_management_mode max_response_size_mb proxy_budget_rescheduler_min_time
    proxy_budget_rescheduler_max_time proxy_batch_write_at proxy_batch_polling_interval
    proxy_config_reload_interval_seconds custom_key_generate custom_key_update custom_sso custom_ui_sso_sign_in_handler
    default_team_disabled allow_user_auth disable_prisma_schema_update allow_client_side_credentials
    admin_only_routes use_azure_key_vault use_google_kms spend_report_frequency ui_access_mode
    litellm_license forward_openai_org_id forward_client_headers_to_llm_api
    forward_llm_provider_auth_headers maximum_spend_logs_retention_interval maximum_spend_logs_cleanup_cron
    use_redis_transaction_buffer user_header_mappings user_header_name control_plane_url
    enable_public_model_hub enable_health_check_routing use_shared_health_check mcp_client_side_auth_header_name
    mcp_internal_ip_ranges mcp_trusted_proxy_ranges always_include_stream_usage pass_through_request_timeout
    allowed_model_region dynamodb_args token_rate_limit_type
  `),
  litellm_settings: words(`
    service_callback service_callbacks
    modify_params enable_preview_features LITELLM_DISABLE_STOP_SEQUENCE_LIMIT redact_user_api_key_info mcp_aliases
    langfuse_default_tags set_verbose json_logs force_ipv4 disable_end_user_cost_tracking
    disable_end_user_cost_tracking_prometheus_only disable_add_transform_inline_image_block
    use_chat_completions_url_for_anthropic_messages disable_hf_tokenizer_download enable_json_schema_validation
    disable_copilot_system_to_assistant max_end_user_budget
    max_end_user_budget_id default_team_params default_team_settings tag_budget_config ssl_verify ssl_certificate
    ssl_security_level require_auth_for_metrics_endpoint enable_redis_auth_cache default_max_internal_user_budget
    telemetry custom_provider_map custom_prometheus_metadata_labels custom_prometheus_tags prometheus_metrics_config
    prometheus_initialize_budget_metrics enable_end_user_cost_tracking_prometheus_only
    forward_traceparent_to_llm_provider model_alias_map model_group_settings public_model_groups public_agent_groups
    add_user_information_to_llm_headers s3_callback_params aws_sqs_callback_params datadog_params langfuse_params
    store_audit_logs audit_log_callbacks cost_discount_config cost_margin_config disable_token_counter
    default_redis_ttl default_redis_batch_cache_expiry max_ui_session_budget ui_theme_config default_user_max_budget
    tag_routing_prefix num_retries_per_request guardrails anthropic_beta_headers suppress_debug_info
    log_raw_request_response logging_callback_manager enable_loadbalancing_on_batch_endpoints
    responses_api_session_ttl priority_reservation priority_reservation_settings max_user_budget
  `),
  // Other stores, and a Redis that is more than one server.
  'litellm_settings.cache_params': words(`
    similarity_threshold default_in_memory_ttl default_in_redis_ttl default_in_memory_max_size max_size_in_memory
    redis_semantic_cache_embedding_model redis_semantic_cache_index_name redis_flush_size redis_startup_nodes
    startup_nodes sentinel_nodes sentinel_password service_name gcp_service_account gcp_ssl_ca_certs max_connections
    db ssl_check_hostname ssl_cert_reqs ssl_ca_certs ssl_certfile ssl_keyfile socket_timeout health_check_interval
    qdrant_api_base qdrant_api_key qdrant_collection_name qdrant_quantization_config qdrant_semantic_cache_embedding_model
    qdrant_semantic_cache_vector_size s3_bucket_name s3_region_name s3_api_version s3_path s3_use_ssl s3_verify
    s3_endpoint_url s3_aws_access_key_id s3_aws_secret_access_key s3_aws_session_token s3_config gcs_bucket_name
    gcs_path_service_account gcs_path disk_cache_dir azure_account_url azure_blob_container
  `),
  router_settings: words(`
    routing_groups redis_host redis_port redis_password redis_db enable_pre_call_check enable_pre_call_checks
    tag_routing_prefix model_group_retry_policy default_max_parallel_requests default_priority polling_interval
    default_litellm_params debug_level client_ttl cache_kwargs cache_responses caching_groups
    model_group_affinity_config max_retries alerting_config assistants_config set_verbose provider_budget_config
    router_general_settings optional_pre_call_checks deployment_affinity_ttl_seconds ignore_invalid_deployments
    search_tools guardrail_list weights
  `),
  litellm_params: words(`
    api_version organization itpm otpm allowed_openai_params
    configurable_clientside_auth_params litellm_credential_name provider_affinity_header litellm_trace_id
    max_file_size_mb default_api_key_tpm_limit default_api_key_rpm_limit max_budget budget_duration
    keepalive_seconds allow_client_keepalive_override use_in_pass_through use_litellm_proxy use_chat_completions_api
    merge_reasoning_content_in_choices model_info tag_regex custom_tokenizer extra_headers extra_body headers
    ssl_verify cache_control_injection_points supports_system_message prompt_id prompt_variables temperature top_p n
    stream stream_options stop max_tokens max_completion_tokens presence_penalty frequency_penalty logit_bias user
    response_format seed tools tool_choice logprobs top_logprobs parallel_tool_calls reasoning_effort thinking
    verbosity modalities prediction audio service_tier store metadata dimensions encoding_format guardrails rules
    hf_model_name drop_system_messages roles initial_prompt_value final_prompt_value bos_token eos_token
  `),
  model_info: new Set(unservedInfo),
};

/** Callbacks of LiteLLM's that are not served: a list that names one is warned of, and others are taken for mistakes. */
export const unservedCallbacks = words(`
  agentops argilla arize arize_phoenix athina azure_sentinel azure_storage bitbucket braintrust cloudzero custom_callback_api
  custom_prompt_management datadog datadog_cost_management datadog_llm_observability deepeval dotprompt dynamic_rate_limiter
  dynamic_rate_limiter_v3 dynamodb email focus galileo gcs_bucket gcs_pubsub gitlab greenscale helicone humanloop lago
  langfuse_otel langfuse_prompt_management langsmith langtrace levo literalai llmonitor logfire lunary mlflow openmeter opik
  pagerduty posthog prometheus prompt_layer promptlayer resend s3 s3_v2 sendgrid sentry slack smtp_email sqs supabase
  traceloop vantage vector_store_pre_call_hook wandb weave weave_otel
  detect_prompt_injection hide_secrets lakera_prompt_injection llamaguard_moderations presidio google_text_moderation
  openai_moderations anthropic_cache_control_hook
`);

/** Parameters of providers that are not served; whole families of names. */
export const providerParams =
  /^(?:azure|aws|s3|gcs|vertex|watsonx|milvus|valkey|auto_router|complexity_router|adaptive_router|quality_router|oci|sap|bedrock)_/;

/** Names of the above that restrict something in LiteLLM. A warning of these says so: here they restrict nothing. */
export const protective = words(`
  guardrails public_routes admin_only_routes allowed_routes custom_auth
  enable_oauth2_auth enforced_params enforce_user_param default_team_disabled max_parallel_requests
  global_max_parallel_requests reject_clientside_metadata_tags max_budget max_end_user_budget
  provider_budget_config tag_budget_config
  require_auth_for_metrics_endpoint access_windows blocked default_team_params
  default_api_key_tpm_limit default_api_key_rpm_limit
`);
