import { readFileSync } from 'node:fs';

let known: string | undefined;

/** The version of this program, from the package it came in. */
export function clientVersion(): string {
  known ??= readVersion();
  return known;
}

function readVersion(): string {
  // From src/cli in a checkout and from dist/cli in a package: the same distance.
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const isManifest = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isManifest ? String(manifest.version) : '0.0.0';
}

/**
 * What `gatewayctl -V` prints, or nothing when the line asks for something else. `main` looks here before it loads
 * anything: of the 100 ms that a start costs, this one needs none.
 */
export function versionLine(argv: readonly string[]): string | undefined {
  const [first, ...rest] = argv;
  if (rest.length > 0 || (first !== '-V' && first !== '--version')) return undefined;
  return `gatewayctl ${clientVersion()}\n`;
}
