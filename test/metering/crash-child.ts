/** A process to be killed: settles calls as fast as it can and says so after each, and leaves every tenth open. */
import { writeSync } from 'node:fs';
import { Metering } from '../../src/metering/metering.ts';
import { aPool, aPrincipal, aStart, success } from './support.ts';

const [url = '', journalPath = '', keyId = '', round = ''] = process.argv.slice(2);
const log = () => undefined;
const metering = await Metering.open({ journalPath, pool: aPool(url), now: () => new Date(), log });
const principal = aPrincipal({ keyId });
await metering.prepare(principal);

for (let index = 0; ; index++) {
  const requestId = `${round}-${index}`;
  const call = metering.begin(aStart({ principal, requestId }));
  await call.kept();
  const isLeftOpen = index % 10 === 9;
  if (isLeftOpen) writeSync(1, `open ${requestId}\n`);
  else {
    call.settle(success({ promptTokens: 10, completionTokens: 5 }));
    await call.kept();
    writeSync(1, `settled ${requestId}\n`);
  }
}
