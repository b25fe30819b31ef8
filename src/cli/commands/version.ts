import type { LocalContext } from '../local-command.ts';
import { describeTarget } from '../target.ts';
import { clientVersion } from '../version.ts';

/** What a bug report should begin with. Asks no gateway, so that it works when nothing else does. */
export async function printVersion({ io, global, target }: LocalContext): Promise<void> {
  if (global.output !== 'json') return io.out(`gatewayctl ${clientVersion()}\n`);
  const chosen = await target();
  const { node } = process.versions;
  const facts = {
    version: clientVersion(),
    node,
    platform: `${process.platform}-${process.arch}`,
    mode: chosen.mode,
    target: describeTarget(chosen),
  };
  io.out(`${JSON.stringify(facts, null, 2)}\n`);
}
