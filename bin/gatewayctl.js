#!/usr/bin/env node
import { existsSync } from 'node:fs';
import * as module from 'node:module';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(
    `gatewayctl needs Node 24.15 or later; this is Node ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exitCode = 70;
} else {
  module.enableCompileCache();
  // A checkout runs its TypeScript as it is; the package carries only what the build made of it.
  const source = new URL('../src/main.ts', import.meta.url);
  const { main } = await import(existsSync(source) ? source.href : '../dist/main.js');
  await main(process);
}
