/** The audience itself: found by our marker, made, read, changed, deleted; and what became of uploads to it. */
import type { AcceptedBatch, Context, FarAudience, NewAudience, Settled } from '@audience-sync/destination-kit/contract'
import { DestinationError, type Failure } from '@audience-sync/destination-kit/failure'
import { adopt, adoptFields, audienceId } from './adopt.ts'
import { changeableFields, newFields, withoutLabels } from './audience-fields.ts'
import { audienceLimit } from './audience-limit.ts'
import { contentUpdatedAt, farAudience, readFields, remarksOn } from './audience-state.ts'
import { type Graph, required } from './client.ts'
import { isRecord, nextPage, numberOf, textOf } from './json.ts'
import type { MetaSettings } from './manifest.ts'
import { isReplaceFailed } from './replace.ts'

/** "Use limit=20 with paging": larger pages are refused as too much data. */
const pageSize = '20'
/** 500 audiences and, as the reference has it, 10,000 lookalikes an account at most; the rest is room for ones that are being deleted. */
const mostPages = 550

const REPLACE_FAILED: Failure = { kind: 'invalid', code: 'replacement_failed', message: 'Meta gave up replacing the list (operation status 415).' }
const jsonHeaders = { 'content-type': 'application/json' }
/** "Does not exist, or you may not see it." */
const notShown: ReadonlySet<string> = new Set(['100/33'])
/** Said of new audiences, too; where a deletion is repeated it says that there is none. */
const notShownOrNotYet: ReadonlySet<string> = new Set(['100/33', '803'])

/** Behind the text that people read: `[as:<marker>]`. */
const markerPattern = /\s?\[as:[^\]]*\]$/
const marked = (description: string, marker: string): string => `${description}${description === '' ? '' : ' '}[as:${marker}]`

export function metaAudiences(graph: Graph, apiVersion: string, now: () => number = Date.now) {
  const limit = audienceLimit(now)
  const node = (id: string): string => `/${apiVersion}/${id}`
  const edge = (ctx: Context): string => `/${apiVersion}/act_${ctx.accountExternalId}/customaudiences`
  const post = (ctx: Context, path: string, fields: object) =>
    graph(ctx, { method: 'POST', path, headers: jsonHeaders, body: Buffer.from(JSON.stringify(fields)), shown: fields })
  const get = (ctx: Context, id: string, fields: string) => graph(ctx, { method: 'GET', path: node(id), query: { fields }, shown: { fields } })

  async function* list(ctx: Context, fields: string): AsyncGenerator<Record<string, unknown>> {
    let after: string | undefined
    for (let page = 0; page < mostPages; page++) {
      const query = { fields, limit: pageSize, ...(after !== undefined && { after }) }
      const { body } = await graph(ctx, { method: 'GET', path: edge(ctx), query, shown: query })
      for (const item of required(Array.isArray(body.data) ? body.data : undefined, 'data')) if (isRecord(item)) yield item
      after = nextPage(body.paging)
      if (after === undefined) return
    }
  }

  /**
   * Meta says the same of an audience that is gone and of one that we lost access to. Whoever may list the account's
   * audiences would see it there: not listed, it is gone.
   */
  async function seeing<T>(ctx: Context, externalId: string, work: Promise<T>, invisible = notShown): Promise<T> {
    try {
      return await work
    } catch (error) {
      const platform = error instanceof DestinationError ? error.failure.platform : undefined
      if (platform?.code === undefined || !invisible.has(platform.code)) throw error
      for await (const audience of list(ctx, 'id')) if (audience.id === externalId) throw error
      throw new DestinationError({ kind: 'gone', code: 'audience_missing', message: 'The audience is not in the ad account any more.', platform }, error)
    }
  }

  /** null where Meta says that it is gone, or does not show it to us. */
  async function readNode(ctx: Context, externalId: string, fields: string): Promise<Readonly<Record<string, unknown>> | null> {
    try {
      return (await get(ctx, externalId, fields)).body
    } catch (error) {
      if (error instanceof DestinationError && (error.failure.code === 'audience_missing' || notShownOrNotYet.has(error.failure.platform?.code ?? '')))
        return null
      throw error
    }
  }

  return {
    seeing,

    async find(ctx: Context, marker: string): Promise<readonly FarAudience[]> {
      const found: { readonly created: number; readonly audience: FarAudience }[] = []
      let customs = 0
      for await (const item of list(ctx, readFields)) {
        const id = textOf(item.id)
        if (item.subtype === 'CUSTOM') customs += 1
        if (id === undefined || !textOf(item.description)?.endsWith(`[as:${marker}]`)) continue
        found.push({ created: numberOf(item.time_created) ?? 0, audience: farAudience(item, id) })
      }
      limit.counted(ctx.accountExternalId, customs)
      return found.sort((one, other) => one.created - other.created).map(({ audience }) => audience)
    },

    /** Before the call where the account is known to be full; else Meta's refusal is explained by the list. */
    async create(ctx: Context, { name, description, marker, settings, purpose }: NewAudience<MetaSettings>): Promise<FarAudience> {
      limit.check(ctx.accountExternalId)
      const fields = { name, description: marked(description, marker), ...newFields(settings, purpose) }
      const { body } = await labelled(ctx, edge(ctx), fields).catch(async (error: unknown) => {
        throw limit.mayMean(error) ? limit.explained(error, await customsOf(ctx)) : error
      })
      const externalId = required(textOf(body.id), 'the id of the audience')
      return { externalId, name, size: null, state: 'processing', detail: 'created', expiresAt: null }
    },

    readNode,

    async read(ctx: Context, externalId: string): Promise<FarAudience | null> {
      const node = await readNode(ctx, externalId, readFields)
      return node && farAudience(node, externalId)
    },

    async adopt(ctx: Context, externalId: string, { settings }: { readonly settings: MetaSettings }): Promise<FarAudience> {
      const node = audienceId.test(externalId) ? await readNode(ctx, externalId, adoptFields) : null
      return adopt(ctx, node, externalId, settings)
    },

    async update(ctx: Context, externalId: string, changes: { readonly name?: string; readonly description?: string; readonly settings?: MetaSettings }) {
      const { name, description, settings } = changes
      const fields = {
        ...(name !== undefined && { name }),
        ...(description !== undefined && { description: `${description}${await markerOf(ctx, externalId)}` }),
        ...(settings && changeableFields(settings)),
      }
      if (Object.keys(fields).length === 0) return
      const { body } = await labelled(ctx, node(externalId), fields)
      required(body.success === false ? undefined : body, 'a confirmation')
    },

    /** Done as well when it is gone already: a deletion whose answer was lost is repeated. */
    async delete(ctx: Context, externalId: string): Promise<void> {
      const deletion = graph(ctx, { method: 'DELETE', path: node(externalId), shown: null })
      try {
        const { body } = await seeing(ctx, externalId, deletion, notShownOrNotYet)
        required(body.success === false ? undefined : body, 'a confirmation')
      } catch (error) {
        if (!(error instanceof DestinationError) || error.failure.code !== 'audience_missing') throw error
      }
    },

    /** Applied: Meta changed the audience's content after it accepted the batch, by its own clock and in whole seconds, and is not at work (SYNC.md C20). */
    async settle(ctx: Context, externalId: string, batches: readonly AcceptedBatch[]): Promise<readonly Settled[]> {
      const { body } = await seeing(ctx, externalId, get(ctx, externalId, 'operation_status,time_content_updated'))
      const updatedAt = contentUpdatedAt(body)
      const lost = isReplaceFailed(body)
      return batches.map(({ batchId, acceptedAt, receipt }) => {
        if (lost && receipt.replaces === true) return { batchId, state: 'rejected', failure: REPLACE_FAILED }
        return updatedAt !== undefined && updatedAt > Math.floor(acceptedAt.getTime() / 1_000)
          ? { batchId, state: 'applied', rejections: [], remarks: remarksOn(body) }
          : { batchId, state: 'pending' }
      })
    },
  }

  /** Said once more without labels where Meta calls a parameter invalid: it may be they, and nothing was done. */
  async function labelled(ctx: Context, path: string, fields: object) {
    const plain = withoutLabels(fields)
    if (plain === undefined) return post(ctx, path, fields)
    return post(ctx, path, fields).catch((error: unknown) => {
      if (!(error instanceof DestinationError && error.failure.platform?.code === '100')) throw error
      return post(ctx, path, plain)
    })
  }

  async function customsOf(ctx: Context): Promise<number> {
    let customs = 0
    for await (const { subtype } of list(ctx, 'id,subtype')) if (subtype === 'CUSTOM') customs += 1
    return customs
  }

  /** A new description keeps our marker, or the audience could not be found again. */
  async function markerOf(ctx: Context, externalId: string): Promise<string> {
    const { body } = await get(ctx, externalId, 'description')
    const mark = markerPattern.exec(textOf(body.description) ?? '')?.[0].trim()
    return mark === undefined ? '' : ` ${mark}`
  }
}
