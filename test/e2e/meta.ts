/** What is Meta's own, from the user's wish to what the platform was told: values, limited data use, accounts, adoption, changes, limits. */
import { isDeepStrictEqual } from 'node:util'
import {
  connectMeta,
  createAudience,
  createBehavior,
  DEMO_ACCOUNT,
  ingest,
  type Json,
  members,
  newTenant,
  refresh,
  waitRun,
} from '@audience-sync/testing/conductor-client'
import { twinAt } from '@audience-sync/testing/conductor-twin'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { customer, farRows, joins, lastSeq, later, people, rowsOf, sha256, uploads } from './people.ts'
import type { Stage } from './stage.ts'

/** Its terms are signed for the time of these tests only. */
const SECOND_ACCOUNT = '1000000000000002'
const CONSENT = { adUserData: 'granted', adPersonalization: 'granted' }
const LIMIT = 500

export function meta(stage: Stage): void {
  /**
   * Rows that the platform took since, as objects by key, in the order of the e-mail addresses given. What is said once more in the same
   * words counts once: the last word about a replacement is (SYNC.md C4), by a run of its own, before somebody looks here or after.
   */
  const sent = async (externalId: string, emails: readonly string[], from = 0): Promise<Json[]> => {
    const rows = (await uploads(stage.system.twin, externalId, from)).flatMap(({ schema, data }) =>
      data.map((row): Json => Object.fromEntries(schema.map((key, i) => [key, row[i]]))),
    )
    const told = rows.filter((row, i) => rows.findIndex((other) => isDeepStrictEqual(other, row)) === i)
    return emails.map((email) => told.filter(({ EMAIL }) => EMAIL === sha256(email)))
  }
  const externalIdOf = async (client: Json, id: string): Promise<string> => (await client.get(`/v1/audiences/${id}`)).externalId
  /** What Meta was told when the audience was made. */
  const creationOf = async (externalId: string): Promise<Json> =>
    (await stage.system.twin.journal()).find(({ response }) => (response as Json)?.id === externalId)?.body

  describe('what is Meta’s own', () => {
    test('a value-based audience carries each customer’s value; a changed value is sent again, and only that; the choice is for good', async () => {
      const { client, accountId } = await stage.tenant('values')
      const behavior = await createBehavior(client, 'values')
      const valued = (customerId: string, value?: number) => ({
        customerId,
        identifiers: { email: `${customerId}@example.com` },
        consent: CONSENT,
        ...(value !== undefined && { value }),
        occurredAt: later(),
      })
      await ingest(client, [valued('v1', 12.5), valued('v2', 0), valued('v3')])
      await members(
        client,
        behavior,
        ['v1', 'v2', 'v3'].map((customerId) => ({ customerId, member: true, occurredAt: later() })),
      )
      const made = await createAudience(client, behavior, accountId, { purpose: 'seed', settings: { valueBased: true } })
      expect(made.notices.map(({ code }: Json) => code)).not.toContain('seed_without_values')
      const first = await waitRun(client, made.lastRun.id)
      expect(first).toMatchObject({ status: 'completed', counts: { added: 3 }, platform: { received: 3, invalid: 0 }, warnings: [] })
      const shown = await client.get(`/v1/audiences/${made.id}`)
      // Three people are few: Meta says so, and shows the figure of every small list.
      expect(shown).toMatchObject({ size: { destination: 1000 }, matchRate: null, destinationState: { state: 'too_small' } })
      expect(shown.notices).toContainEqual(expect.objectContaining({ code: 'delivery_too_small' }))
      const externalId = await externalIdOf(client, made.id)
      expect(await creationOf(externalId)).toMatchObject({ is_value_based: true })
      const emails = ['v1@example.com', 'v2@example.com', 'v3@example.com']
      const valuesOf = async (from = 0) => (await sent(externalId, emails, from)).map((rows: Json[]) => rows.map(({ LOOKALIKE_VALUE }) => LOOKALIKE_VALUE))
      expect(await valuesOf()).toEqual([[12.5], [0], [0]])

      const seq = await lastSeq(stage.system.twin)
      await ingest(client, [valued('v1', 99), valued('v2', 0)])
      expect(await waitRun(client, (await refresh(client, made.id)).id)).toMatchObject({ status: 'completed', counts: { planned: 1, replaced: 1 } })
      expect(await valuesOf(seq)).toEqual([[99], [], []])
      expect((await farRows(stage.system.twin, externalId)).filter((row) => row.startsWith(sha256('v1@example.com')))).not.toEqual([])

      const refused = await client.ask('PATCH', `/v1/audiences/${made.id}`, { settings: { valueBased: false } })
      expect([refused.status, refused.body]).toMatchObject([
        409,
        { code: 'setting_fixed', solution: expect.any(String), errors: [{ path: 'settings.valueBased' }] },
      ])
    })

    test('people who opted out of sale and sharing are sent flagged for limited data use, and the flag follows them', async () => {
      const { client, accountId } = await stage.tenant('ldu')
      const behavior = await createBehavior(client, 'ldu')
      const lives = (customerId: string, saleShareOptOut: boolean, region?: string) => ({
        customerId,
        identifiers: { email: `${customerId}@example.com`, country: 'US', ...(region && { region }) },
        consent: { ...CONSENT, saleShareOptOut },
        occurredAt: later(),
      })
      await ingest(client, [lives('l1', false), lives('l2', true, 'CA'), lives('l3', true)])
      await members(
        client,
        behavior,
        ['l1', 'l2', 'l3'].map((customerId) => ({ customerId, member: true, occurredAt: later() })),
      )
      const made = await createAudience(client, behavior, accountId, { settings: { limitedDataUse: true } })
      expect(await waitRun(client, made.lastRun.id)).toMatchObject({ status: 'completed', counts: { added: 3, suppressed: 0 } })
      const externalId = await externalIdOf(client, made.id)
      const emails = ['l1@example.com', 'l2@example.com', 'l3@example.com']
      const flags = async (from = 0) =>
        (await sent(externalId, emails, from)).map((rows: Json[]) =>
          rows.map((row) => [row.DATA_PROCESSING_OPTIONS, row.DATA_PROCESSING_OPTIONS_COUNTRY, row.DATA_PROCESSING_OPTIONS_STATE]),
        )
      expect(await flags()).toEqual([[[[], '', '']], [[['LDU'], 1, 1000]], [[['LDU'], '', '']]])

      const seq = await lastSeq(stage.system.twin)
      await ingest(client, [lives('l1', true), lives('l2', false, 'CA')])
      expect(await waitRun(client, (await refresh(client, made.id)).id)).toMatchObject({ status: 'completed', counts: { planned: 2, replaced: 2, removed: 0 } })
      expect(await flags(seq)).toEqual([[[['LDU'], '', '']], [[[], '', '']], []])
      expect(await farRows(stage.system.twin, externalId)).toHaveLength(3)
    })

    test('one behavior in two accounts: two audiences of one name, and one account’s trouble does not touch the other', async () => {
      const { twin, url, adminKey } = stage.system
      await twin.changeAccount(SECOND_ACCOUNT, { terms: true })
      const { client } = await newTenant(url, adminKey, 'two-accounts')
      const { accounts } = await connectMeta(client, twin, [DEMO_ACCOUNT, SECOND_ACCOUNT])
      const behavior = await createBehavior(client, 'both')
      const some = people(900, 905)
      await ingest(client, some.map(customer))
      await members(client, behavior, some.slice(0, 3).map(joins))
      const [one, two] = [
        await createAudience(client, behavior, accounts.get(DEMO_ACCOUNT).id, { name: 'In both' }),
        await createAudience(client, behavior, accounts.get(SECOND_ACCOUNT).id, { name: 'In both' }),
      ]
      for (const { lastRun } of [one, two]) expect(await waitRun(client, lastRun.id)).toMatchObject({ status: 'completed', counts: { added: 3 } })
      const [first, second] = [await externalIdOf(client, one.id), await externalIdOf(client, two.id)]
      expect(first).not.toBe(second)

      await twin.changeAccount(SECOND_ACCOUNT, { terms: false })
      await members(client, behavior, some.slice(3).map(joins))
      const stopped = await waitRun(client, (await refresh(client, two.id)).id)
      expect(stopped).toMatchObject({ status: 'failed', error: { code: 'terms_not_signed', link: expect.stringContaining(`act=${SECOND_ACCOUNT}`) } })
      expect(await client.get(`/v1/audiences/${two.id}`)).toMatchObject({ status: 'error', statusReason: { code: 'terms_not_signed' } })
      expect(await waitRun(client, (await refresh(client, one.id)).id)).toMatchObject({ status: 'completed', counts: { added: 2 } })
      expect(await client.get(`/v1/audiences/${one.id}`)).toMatchObject({ status: 'active', statusReason: null })
      expect(await farRows(twin, first)).toEqual(rowsOf(some))
      expect(await farRows(twin, second)).toEqual(rowsOf(some.slice(0, 3)))
    })

    test('an audience that exists is adopted: looked at first, kept in step, and its earlier members stay', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('adopts')
      const behavior = await createBehavior(client, 'adopted')
      const [before, ours] = [people(910, 912), people(912, 915)]
      await ingest(client, [...before, ...ours].map(customer))
      await members(client, behavior, before.map(joins))
      const theirs = await createAudience(client, behavior, accountId, { name: 'Theirs' })
      await waitRun(client, theirs.lastRun.id)
      const externalId = await externalIdOf(client, theirs.id)
      await client.ask('DELETE', `/v1/audiences/${theirs.id}?keepRemote=true`)

      const other = await createBehavior(client, 'comes-after')
      await members(client, other, ours.map(joins))
      await until404(client, theirs.id)
      const adopt = { name: 'Ours now', adopt: { externalId }, settings: { valueBased: true } }
      const made = await createAudience(client, other, accountId, adopt)
      expect(made).toMatchObject({ adopted: true, externalId, notices: [{ code: 'adopted_members_unknown', title: expect.any(String) }] })
      expect(await waitRun(client, made.lastRun.id)).toMatchObject({
        status: 'failed',
        error: { code: 'adopt_setting', detail: expect.stringMatching(/has to be false/) },
      })
      const mended = await client.ask('PATCH', `/v1/audiences/${made.id}`, { settings: { valueBased: false } })
      expect(mended.status).toBe(200)
      const again = await client.ask('POST', '/v1/audiences', { behaviorId: other, destination: 'meta', accountId, name: 'Twice', adopt: { externalId } })
      expect([again.status, again.body.code]).toEqual([409, 'conflict'])
      expect(await waitRun(client, mended.body.lastRun.id)).toMatchObject({ status: 'completed', counts: { added: 3 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf([...before, ...ours]))

      await client.ask('DELETE', `/v1/audiences/${made.id}`)
      await until404(client, made.id)
      expect((await twin.state()).audiences.find(({ id }) => id === externalId)).toMatchObject({ deleted: false })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(before))
    })

    test('what is changed here is told there: name, description with our marker, and what may be said again', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('renames')
      const behavior = await createBehavior(client, 'renamed')
      await ingest(client, people(920, 922).map(customer))
      await members(client, behavior, people(920, 922).map(joins))
      const settings = { retentionDays: 90, labels: ['GENERAL_CUSTOMERS'], optOutLink: 'https://example.com/out' }
      const made = await createAudience(client, behavior, accountId, { name: 'Before', description: 'First words', purpose: 'exclusion', settings })
      expect(made.notices).toMatchObject([{ code: 'exclusion_only' }])
      await waitRun(client, made.lastRun.id)
      const externalId = await externalIdOf(client, made.id)
      const creation = await creationOf(externalId)
      expect(creation).toMatchObject({
        usage_restriction: 'EXCLUSION_ONLY',
        retention_days: 90,
        audience_labels: ['GENERAL_CUSTOMERS'],
        opt_out_link: settings.optOutLink,
      })
      const marker = /\[as:[^\]]+\]$/.exec(creation.description)?.[0] ?? 'none'

      const changed = await client.ask('PATCH', `/v1/audiences/${made.id}`, { name: 'After', description: 'Second words', settings: { retentionDays: 30 } })
      expect(changed.status).toBe(200)
      // Nobody is said again for it.
      expect(await waitRun(client, changed.body.lastRun.id)).toMatchObject({ status: 'completed', counts: { planned: 0 } })
      expect((await twin.state()).audiences.find(({ id }) => id === externalId)).toMatchObject({ name: 'After' })
      const told = (await twin.journal()).filter(({ method, path }) => method === 'POST' && path.split('?')[0]?.endsWith(`/${externalId}`)).at(-1)
      expect(told?.body).toMatchObject({ name: 'After', description: `Second words ${marker}`, retention_days: 30 })
    })

    test('an account that is full at Meta says so, with the figure and what to do', async () => {
      const { twin, url, adminKey } = stage.system
      await twin.changeAccount(SECOND_ACCOUNT, { terms: true })
      const { client } = await newTenant(url, adminKey, 'full-account')
      const { accounts } = await connectMeta(client, twin, [SECOND_ACCOUNT])
      await fill(twin.url, SECOND_ACCOUNT)
      const behavior = await createBehavior(client, 'one-more')
      await ingest(client, people(930, 932).map(customer))
      await members(client, behavior, people(930, 932).map(joins))
      const made = await createAudience(client, behavior, accounts.get(SECOND_ACCOUNT).id)
      const run = await waitRun(client, made.lastRun.id)
      const error = { code: 'audience_limit', detail: expect.stringMatching(/500/), solution: expect.stringMatching(/Delete audiences/) }
      expect(run).toMatchObject({ status: 'failed', error, counts: { accepted: 0 } })
      expect(await client.get(`/v1/audiences/${made.id}`)).toMatchObject({ status: 'error', statusReason: error, externalId: null })
      await twin.changeAccount(SECOND_ACCOUNT, { terms: false }) // as the other tests know it
    })
  })
}

const until404 = (client: Json, id: string) =>
  until(`audience ${id} to be gone`, async () => (await client.ask('GET', `/v1/audiences/${id}`)).status === 404 || undefined)

/** Somebody makes audiences in the platform's own screens until the account is full. */
async function fill(twinUrl: string, account: string): Promise<void> {
  const token = await tokenOf(twinUrl)
  for (let i = 0; i < LIMIT; i += 1) {
    const response = await fetch(`${twinUrl}/v26.0/act_${account}/customaudiences`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `Full ${i}`, subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' }),
    })
    if (!response.ok) return // others made some before
  }
}

/** A person's own, by the whole consent. */
async function tokenOf(twinUrl: string): Promise<string> {
  const app = { client_id: '4000000000000001', client_secret: 'twin-app-secret', redirect_uri: 'http://127.0.0.1:8080/cb' }
  const dialog = {
    client_id: app.client_id,
    redirect_uri: app.redirect_uri,
    state: 's',
    response_type: 'code',
    scope: 'ads_management,ads_read,business_management',
  }
  const authorizeUrl = `${twinUrl}/v26.0/dialog/oauth?${new URLSearchParams(dialog)}`
  const redirect = await twinAt(twinUrl).authorize(authorizeUrl)
  const code = new URL(redirect).searchParams.get('code') ?? ''
  const answer = await fetch(`${twinUrl}/v26.0/oauth/access_token?${new URLSearchParams({ ...app, code })}`)
  return ((await answer.json()) as { access_token: string }).access_token
}
