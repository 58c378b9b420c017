/** An erasure, seen by whoever asked for it: its status moves by itself, and its proof can be checked by anybody. */
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { createAudience, createBehavior, ingest, members, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { customer, farRows, joins, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

export function privacy(stage: Stage): void {
  describe('an erasure', () => {
    test('moves from pending to completed when the platform has applied the removal, and its proof is checked without a credential', async () => {
      const { twin, url } = stage.system
      const { client, accountId } = await stage.tenant('erasure')
      const behavior = await createBehavior(client, 'remembered')
      await ingest(client, people(0, 20).map(customer))
      await members(client, behavior, people(0, 20).map(joins))
      const made = await createAudience(client, behavior, accountId)
      await waitRun(client, made.lastRun.id)

      const asked = await client.post('/v1/privacy/erasures', { customerId: person(3).customerId })
      expect(asked).toMatchObject({ status: 'pending_destination', completedAt: null })
      const erasure = await until('the erasure to be completed', async () => {
        const now = await client.get(`/v1/privacy/erasures/${asked.id}`)
        return now.status === 'completed' && now
      })
      expect(Date.parse(erasure.completedAt)).toBeGreaterThanOrEqual(Date.parse(asked.requestedAt))
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, 20).filter(({ customerId }) => customerId !== person(3).customerId)))

      const proof = await client.get(`/v1/privacy/erasures/${asked.id}/proof`)
      expect(proof).toMatchObject({ complete: true, waitingFor: [], audiences: [{ audienceId: made.id, state: 'removed' }] })
      const [header, payload, signature] = proof.jws.split('.')
      const { keys } = (await (await fetch(`${url}/v1/privacy/keys`)).json()) as { keys: (JsonWebKey & { kid: string })[] }
      const key = keys.find(({ kid }) => kid === JSON.parse(Buffer.from(header, 'base64url').toString()).kid)
      if (!key) throw new Error('The key of the proof is not listed.')
      const signed = Buffer.from(`${header}.${payload}`)
      expect(verify(null, signed, createPublicKey({ key, format: 'jwk' }), Buffer.from(signature, 'base64url'))).toBe(true)

      // The audit log names the proof that was kept, and both are as they were written.
      const named = async () => {
        const { kept: now } = await client.get(`/v1/privacy/erasures/${asked.id}/proof`)
        return now?.audit && now
      }
      const kept = await until('the audit log to name the proof', named, { timeoutMs: 60_000, everyMs: 200 })
      const { data } = await client.get('/v1/audit-log?limit=200')
      expect(data.find(({ seq }: { seq: number }) => seq === kept.audit.seq)).toMatchObject({ target: `${asked.id}#${kept.sha256}`, hash: kept.audit.hash })
      const { nextCursor, ...lines } = await client.get('/v1/privacy/proofs/verification')
      expect(lines).toMatchObject({ intact: true, proofs: 1, broken: [] })
      expect(await client.get(`/v1/privacy/proofs/verification?cursor=${nextCursor}`)).toMatchObject({ intact: true, proofs: 1, waiting: 0, nextCursor: null })
    })
  })
}
