import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { GatewayError } from '../../src/kernel/errors.ts';
import type { Units } from '../../src/metering/units.ts';
import {
  aDatabase,
  aDeployment,
  aDirectory,
  aMetering,
  aPrincipal,
  aStart,
  type Database,
  enroll,
  success,
  until,
} from './support.ts';

const priced = aDeployment({ info: { output_cost_per_image: 0.04, input_cost_per_token: 1e-6 } });
const ofImages = (units: Units) => ({ callType: 'image_generation', deployment: priced, units }) as const;

describe('a call that is paid for by the image', () => {
  let database: Database;
  before(async () => {
    database = await aDatabase();
  });
  after(() => database[Symbol.asyncDispose]());

  async function aPayer(max: bigint) {
    const principal = aPrincipal({ max });
    await enroll(database.pool, principal);
    return principal;
  }

  test('fits into its budget with all its images, or not at all', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = await aPayer(80_100_000n);
    await metering.prepare(principal);
    const refused = (error: GatewayError) => error.type === 'budget_exceeded';
    assert.throws(() => metering.begin(aStart({ principal, ...ofImages({ images: 3 }) })), refused);
    const call = metering.begin(aStart({ principal, ...ofImages({ images: 2 }) }));
    assert.throws(() => metering.begin(aStart({ principal, ...ofImages({ images: 1 }) })), refused);
    assert.equal(call.settle(success({ units: { images: 1 } })).cost, 40_000_000n);
    metering.begin(aStart({ principal, ...ofImages({ images: 1 }) })).settle(success({ units: { images: 1 } }));
    await until(() => metering.backlog === 0);
    await metering[Symbol.asyncDispose]();
  });

  test('costs what was reserved where the answer counts nothing that the price goes by', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = await aPayer(10n ** 9n);
    await metering.prepare(principal);
    const start = aStart({ principal, ...ofImages({ images: 1 }), deployment: aDeployment() });
    assert.equal(metering.begin(start).settle(success({ units: { images: 1 } })).cost, 300_000n);
    await until(() => metering.backlog === 0);
    const { rows } = await database.pool.query(
      'select usage_estimated from gatewayctl.spend_logs where request_id = $1',
      [start.requestId],
    );
    assert.deepEqual(rows, [{ usage_estimated: true }]);
    await metering[Symbol.asyncDispose]();
  });

  test('is booked with its images when the process dies under it', async () => {
    const { metering, journalPath } = await aMetering(database.pool);
    const principal = await aPayer(10n ** 9n);
    await metering.prepare(principal);
    const start = aStart({ principal, ...ofImages({ images: 2 }) });
    const call = metering.begin(start);
    const left = join(await aDirectory(), 'spend.db');
    await copyFile(journalPath, left);
    await copyFile(`${journalPath}-wal`, `${left}-wal`);
    const { metering: next } = await aMetering(database.pool, { journalPath: left });
    await until(() => next.backlog === 0);
    const { rows } = await database.pool.query(
      'select status, spend::text from gatewayctl.spend_logs where request_id = $1',
      [start.requestId],
    );
    assert.deepEqual(rows, [{ status: 'interrupted', spend: '80100000' }]);
    call.settle(success({}));
    await Promise.all([metering[Symbol.asyncDispose](), next[Symbol.asyncDispose]()]);
  });
});
