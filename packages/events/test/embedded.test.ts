import { testDatabase } from '@audience-sync/testing/database'
import { describe, expect, test } from '@jest/globals'
import { embeddedTransport } from '../src/embedded/transport.ts'
import { contract } from './contract.ts'
import { embeddedRig, log } from './rig.ts'

describe('the contract, on the log in Postgres', () => contract(embeddedRig))

test('services read the log; the relay alone writes and sweeps it', async () => {
  const database = await testDatabase()
  try {
    for (const role of ['gateway', 'connections', 'behavior_export', 'audiences', 'connector_meta', 'scheduler', 'webhooks'] as const) {
      const { pool } = database.as(role, 1)
      await pool.query('SELECT * FROM bus.log')
      await expect(pool.query(`INSERT INTO bus.log (topic, partition, seq, key, headers, value) VALUES ('t', 0, 0, 'k', '{}', '')`)).rejects.toThrow(
        'permission denied',
      )
      await expect(pool.query('DELETE FROM bus.log')).rejects.toThrow('permission denied')
    }
    await database.admin(`INSERT INTO bus.log (topic, partition, seq, key, headers, value, appended_at)
      SELECT topic, 0, age, 'k', '{}', '', now() - age * interval '1 day' FROM unnest('{6,8,15}'::int[]) AS age, unnest('{a,a.dlq}'::text[]) AS topic`)
    const transport = embeddedTransport({ url: database.url('relay'), log })
    await transport.sweep()
    await transport.close()
    expect(await database.admin('SELECT topic, seq::int FROM bus.log ORDER BY topic, seq')).toEqual([
      { topic: 'a', seq: 6 },
      { topic: 'a.dlq', seq: 6 },
      { topic: 'a.dlq', seq: 8 },
    ])
  } finally {
    await database.drop()
  }
})
