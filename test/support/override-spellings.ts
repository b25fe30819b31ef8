/** A request by which a client tries to say where its call goes: to `url`, which is somewhere else. */
export interface Override {
  /** What is tried, for the message of a test that fails. */
  readonly what: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
}

/** What LiteLLM, its peers and the libraries of providers call it. */
const names = [
  'api_base', 'apiBase', 'API_BASE', 'api-base', 'ApiBase', 'base_url', 'baseURL', 'baseUrl', 'BASE_URL', 'base-url',
  'endpoint', 'endpoint_url', 'azure_endpoint', 'custom_host', 'customHost', 'host', 'proxy', 'proxy_url', 'http_proxy',
  'target', 'target_url', 'url', 'server_url', 'aws_bedrock_runtime_endpoint', 'vertex_api_base', 'callback_url',
  'custom_llm_provider', 'api_type', 'resource_name', 'region_name',
]; // prettier-ignore

/** Members that hold settings in LiteLLM and its peers: each with an `api_base` in it. */
const members = [
  'user_config', 'litellm_params', 'litellm_metadata', 'litellm_settings', 'extra_body', 'extra_headers', 'extra_query',
  'headers', 'default_headers', 'model_info', 'model_list', 'proxy_server_request', 'provider_specific_header',
  'configurable_clientside_auth_params', 'router_settings_override', 'fallbacks', 'context_window_fallbacks', 'config',
  'options', 'provider', 'provider_options', 'optional_params', 'secret_fields', 'standard_callback_dynamic_params',
]; // prettier-ignore

const headers = [
  'x-litellm-api-base', 'x-litellm-base-url', 'x-litellm-params', 'litellm-api-base', 'x-api-base', 'api-base',
  'x-base-url', 'base-url', 'openai-base-url', 'x-openai-base-url', 'x-portkey-custom-host', 'x-portkey-config',
  'x-custom-host', 'helicone-target-url', 'x-target-url', 'x-upstream-url', 'x-forwarded-host', 'x-forwarded-server',
  'x-host', 'x-original-url', 'x-rewrite-url', 'x-http-host-override', 'forwarded', 'x-envoy-original-dst-host',
  'x-amz-endpoint', 'destination', 'x-proxy-url', 'x-pass-target', 'azure-endpoint', 'x-litellm-model-api-base',
]; // prettier-ignore

const nested = (url: string): Record<string, unknown> => ({
  api_base: url,
  base_url: url,
  apiBase: url,
  endpoint: url,
});

function* placesOf(name: string, url: string): Generator<Override> {
  yield { what: `${name} in the body`, body: { [name]: url } };
  yield { what: `${name} in the query`, path: `?${name}=${encodeURIComponent(url)}` };
  yield { what: `${name} in metadata`, body: { metadata: { [name]: url } } };
  yield {
    what: `${name} in a tool`,
    body: { tools: [{ type: 'function', [name]: url, function: { name: 'f', [name]: url, parameters: {} } }] },
  };
}

/** Some 250 of them: SEC-60 asks for 200. */
export function* overrides(url: string): Generator<Override> {
  for (const name of names) yield* placesOf(name, url);
  for (const member of members) {
    yield { what: `${member} as an object`, body: { [member]: nested(url) } };
    yield { what: `${member} as a list`, body: { [member]: [nested(url)] } };
    yield { what: `${member} as JSON in a text`, body: { [member]: JSON.stringify(nested(url)) } };
  }
  for (const header of headers) yield { what: `the header ${header}`, headers: { [header]: url } };
  const { host, port } = new URL(url);
  for (const model of [
    url,
    `openai/${url}`,
    `gpt@${host}`,
    `gpt-4o#@${host}`,
    `../../${host}`,
    `gpt-4o?api_base=${url}`,
  ]) {
    yield { what: `the model ${model}`, body: { model } };
  }
  yield {
    what: 'an image of a message',
    body: { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] },
  };
  yield {
    what: 'a file of a message',
    body: { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: url, file_data: url } }] }] },
  };
  yield {
    what: 'a tool of MCP',
    body: { tools: [{ type: 'mcp', server_label: 'x', server_url: url, require_approval: 'never' }] },
  };
  yield { what: 'web search', body: { web_search_options: { endpoint: url, api_base: url } } };
  yield {
    what: 'a schema by reference',
    body: { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { $ref: url } } } },
  };
  yield { what: 'options of a stream', body: { stream: true, stream_options: { include_usage: true, api_base: url } } };
  yield { what: 'a user', body: { user: JSON.stringify({ api_base: url }) } };
  yield { what: 'a name twice', body: { metadata: { model: url, tags: [url] }, tags: [url] } };
  yield {
    what: 'a prototype',
    body: JSON.parse(`{"__proto__":{"api_base":"${url}"},"constructor":{"prototype":{"api_base":"${url}"}}}`),
  };
  yield { what: 'an absolute form of a path', path: `/../../127.0.0.1:${port}/` };
}
