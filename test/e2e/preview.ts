/** What the preview route answers is what the platform is then sent. */

import { createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { lastSeq, later, uploads } from './people.ts'
import type { Stage } from './stage.ts'

const CONSENT = { adUserData: 'granted', adPersonalization: 'granted' }
const IDENTIFIERS = ['email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId']
/** Whole and with gaps, several addresses, accents, a number that cannot be used, one that comes hashed, nobody to send. */
const PEOPLE = [
  {
    customerId: 'p1',
    identifiers: {
      email: ' Ann.Lee@Example.com ',
      phone: '+1 (415) 555-0100',
      firstName: 'Ann',
      lastName: 'Lee',
      gender: 'f',
      birthDate: '1990-02-13',
      city: 'Paris',
      region: 'CA',
      postalCode: '94045',
      country: 'US',
      mobileAdId: '8D8AC610-566D-4EF0-9C22-186B2A5ED793',
    },
  },
  { customerId: 'p2', identifiers: { email: 'two@example.com', emails: ['second@example.com'], country: 'US' } },
  { customerId: 'p3', identifiers: { phone: '12', firstName: 'Éloïse', lastName: 'Größe', city: 'Sankt Pölten', country: 'US' } },
  { customerId: 'p4', identifiers: { email: '8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92', phone: 'no number' } },
  { customerId: 'p5', identifiers: { email: 'denied@example.com' }, consent: { adUserData: 'denied' } },
].map((person) => ({ consent: CONSENT, ...person }))

const withoutSession = ({ payload, session }: Json) => ({ payload, session: { ...session, session_id: 0 } })

export function preview(stage: Stage): void {
  describe('preview', () => {
    test('answers for Meta exactly what the platform then receives, additions and removals', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('preview')
      const shownOf = (operation: string) => client.post('/v1/destinations/meta/preview', { operation, identifiers: IDENTIFIERS, members: PEOPLE })
      const [addition, removal] = [await shownOf('add'), await shownOf('remove')]
      expect(addition.members.find(({ customerId }: Json) => customerId === 'p5').rejected.code).toBe('consent_denied')
      expect(addition.members.find(({ customerId }: Json) => customerId === 'p3').dropped).toContainEqual({ field: 'phone', code: 'phone_not_e164' })

      const behavior = await createBehavior(client, 'previewed')
      const answer = await ingest(
        client,
        PEOPLE.map((person) => ({ ...person, occurredAt: later() })),
      )
      expect(answer).toMatchObject({ received: PEOPLE.length, changed: PEOPLE.length, rejected: 0 })
      const member = (is: boolean) => PEOPLE.map(({ customerId }) => ({ customerId, member: is, occurredAt: later() }))
      await members(client, behavior, member(true))
      const seq = await lastSeq(twin)
      const made = await createAudience(client, behavior, accountId, { identifiers: IDENTIFIERS })
      const run = await waitRun(client, made.lastRun.id)
      expect(run).toMatchObject({ status: 'completed', counts: { added: 4, suppressed: 1 } })
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      expect(asShown(await uploads(twin, externalId, seq), externalId)).toEqual(addition.requests.map(expected))

      await members(client, behavior, member(false))
      const before = await lastSeq(twin)
      await waitRun(client, (await refresh(client, made.id)).id)
      // Removals are exactly what was sent: whoever was never sent is not removed.
      const rows = await uploads(twin, externalId, before)
      expect(rows.flatMap(({ data }) => data.map(String)).sort()).toEqual(addition.requests.flatMap(({ body }: Json) => body.payload.data.map(String)).sort())
      expect(removal.requests[0].method).toBe(rows[0]?.entry.method)
    })
  })
}

type Sent = Awaited<ReturnType<typeof uploads>>

/** The query holds the proof of the token: a secret of its call, which no preview shows. */
const asShown = (sent: Sent, externalId: string) =>
  sent.map(({ entry: { method, path, body } }) => ({ method, path: path.replace(externalId, '{audience}').split('?')[0], body: withoutSession(body) }))

const expected = ({ method, url, body }: Json) => ({
  method,
  path: new URL(url.replace('{audience}', 'AUDIENCE')).pathname.replace('AUDIENCE', '{audience}'),
  body: withoutSession(body),
})
