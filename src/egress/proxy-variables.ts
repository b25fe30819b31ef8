const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];

/**
 * Variables by which other programs find a proxy. They are not read: behind a proxy it is the proxy that looks names up,
 * and nobody here could say where a connection leads.
 *
 * @returns the names of those that are set
 */
export const proxyVariables = (env: Readonly<Record<string, string | undefined>>): readonly string[] =>
  names.filter((name) => env[name]);
