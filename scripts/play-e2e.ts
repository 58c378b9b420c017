import { readFileSync } from 'node:fs'
import {
  clientOf,
  connectMeta,
  createAudience,
  createBehavior,
  DEMO_ACCOUNT,
  ingest,
  members,
  newTenant,
  refresh,
  waitRun,
} from '@audience-sync/testing/conductor-client'
import { twinAt } from '@audience-sync/testing/conductor-twin'

const { url, adminKey, twin: twinUrl } = JSON.parse(readFileSync('/tmp/e2e-sys/info.json', 'utf8'))
const twin = twinAt(twinUrl)
const t0 = Date.now()
const { client } = await newTenant(url, adminKey, 't' + Date.now())
const { accounts, connectionId } = await connectMeta(client, twin)
console.log('connected', Date.now() - t0, connectionId, accounts.size)
const b = await createBehavior(client, 'seekers')
const at = new Date().toISOString()
const people = Array.from({ length: 100 }, (_, i) => ({
  customerId: `c${i}`,
  occurredAt: at,
  identifiers: { email: `p${i}@example.com`, phone: `+1415555${String(1000 + i)}` },
  consent: { adUserData: 'granted', adPersonalization: 'granted' },
}))
console.log(await ingest(client, people))
console.log(
  await members(
    client,
    b,
    people.map(({ customerId }) => ({ customerId, member: true, occurredAt: at })),
  ),
)
const a = await createAudience(client, b, accounts.get(DEMO_ACCOUNT).id)
console.log(a)
const run = await waitRun(client, a.lastRun.id)
console.log(run, Date.now() - t0)
const now = await client.get(`/v1/audiences/${a.id}`)
console.log(now.status, now.externalId, (await twin.audience(now.externalId)).size)
console.log((await client.get(`/v1/runs/${run.id}/calls`)).data)
