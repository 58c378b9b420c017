import { expect, test } from '@jest/globals'
import { type AuditEvent, chain, firstBroken, GENESIS } from './audit-chain.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
const event = (n: number): AuditEvent => ({
  at: new Date(n),
  actor: 'key:a',
  action: 'POST',
  target: '/v1/audiences',
  result: 'ok',
  status: 201,
  requestId: `req_${n}`,
})
const rows = chain(TENANT, { seq: 0, hash: GENESIS }, [1, 2, 3, 4].map(event))

test('a chain that nobody touched verifies, also from its middle on', () => {
  expect(firstBroken(TENANT, rows)).toBeUndefined()
  expect(firstBroken(TENANT, rows.slice(2), rows[1])).toBeUndefined()
})

test('a changed, a removed, a swapped and another tenant’s row are found', () => {
  expect(
    firstBroken(
      TENANT,
      rows.map((row) => (row.seq === 3 ? { ...row, actor: 'key:b' } : row)),
    ),
  ).toBe(3)
  expect(
    firstBroken(
      TENANT,
      rows.filter(({ seq }) => seq !== 2),
    ),
  ).toBe(3)
  const [a, b, c, d] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0], (typeof rows)[0]]
  expect(firstBroken(TENANT, [a, { ...c, seq: 2 }, { ...b, seq: 3 }, d])).toBe(2)
  expect(firstBroken('01932f1c-7a4e-7cc1-9b1f-000000000000', rows)).toBe(1)
})
