/**
 * The requests that a send would make, and what became of each member; nothing is sent. Made by the very functions of the
 * send (`prepare`, `lane`, `encode`), so it can differ from it in one thing only: a preview belongs to no run, so its sessions are
 * numbered from 1.
 */
import type { Transformation } from '@audience-sync/contracts/transformations'
import { AppError } from '@audience-sync/errors/app-error'
import type { Code } from '@audience-sync/errors/catalogue'
import { permission, suppression } from './consent.ts'
import type { Batch, Destination, DroppedField, EncodedRequest, IdentifierChoice, KeySet, Operation, Person, Prepared, SendConfig } from './contract.ts'
import { configAs, prepareAs } from './transform.ts'

/** Stand where an id will be that is not known yet. */
const unknownAudience = '{audience}'
const unknownAccount = '{account}'

export interface PreviewInput {
  readonly operation: Operation
  /** Missing: all that the destination takes. */
  readonly identifiers?: readonly IdentifierChoice[] | undefined
  /** As the caller wrote them; refused with `settings_invalid` where the destination's schema does not take them. */
  readonly settings?: unknown
  readonly transformations?: readonly Transformation[] | undefined
  readonly members: readonly Person[]
  /** The tenant's; consent is judged by it, whatever the transformations say. */
  readonly defaultCountry?: string | undefined
  readonly accountExternalId?: string | undefined
  readonly audienceExternalId?: string | undefined
  /** Of the first lane's session. */
  readonly firstSessionId?: number | undefined
}

export interface Preview {
  readonly requests: readonly {
    readonly method: string
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: unknown
  }[]
  readonly members: readonly PreviewMember[]
}

export interface PreviewMember {
  readonly customerId: string
  /** By the platform's key; a list where the person's rows differ (several e-mail addresses). */
  readonly sent: Readonly<Record<string, string | readonly string[]>>
  readonly dropped: readonly DroppedField[]
  readonly rejected: Code | null
}

export function previewRequests<S>(destination: Destination<S>, input: PreviewInput): Preview {
  const config = configOf(destination, input)
  const prepared = input.members.map((member) => [member, prepareMember(destination, config, input, member)] as const)
  const rows = prepared.flatMap(([, { sets }]) => sets)
  return {
    requests: requestsOf(destination, config, input, rows),
    members: prepared.map(([member, result]) => shownMember(destination, member, result)),
  }
}

function configOf<S>({ manifest }: Destination<S>, input: PreviewInput): SendConfig<S> {
  const { settings = {}, identifiers = manifest.identifiers, defaultCountry, transformations } = input
  const parsed = manifest.settings.safeParse(settings)
  if (parsed.success) return { identifiers, settings: parsed.data, defaultCountry, transformations }
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: ['settings', ...path].join('.'), message }))
  throw new AppError('settings_invalid', `The settings do not fit ${manifest.title}.`, { extra: { errors } })
}

/** Whoever may not be sent is not; removals always go. */
function prepareMember<S>(destination: Destination<S>, config: SendConfig<S>, { operation }: PreviewInput, member: Person): Prepared {
  const given = permission(member.consent, member.identifiers.country, config.defaultCountry)
  const suppressed = operation === 'add' ? suppression(given, destination.manifest.purpose(config.settings)) : null
  if (suppressed !== null) return { sets: [], dropped: [], rejected: suppressed }
  return prepareAs(destination, { ...member, limitedDataUse: given.adsReason === 'opted_out' }, config)
}

function requestsOf<S>(destination: Destination<S>, config: SendConfig<S>, input: PreviewInput, rows: readonly KeySet[]): Preview['requests'] {
  const { manifest } = destination
  const lanes = [...Map.groupBy(rows, (row) => destination.lane(row)).values()]
  return lanes.flatMap((lane, index) => {
    const batches = Math.ceil(lane.length / manifest.limits.rowsPerCall)
    return Array.from({ length: batches }, (_, batch) => {
      const part: Batch<S> = {
        operation: input.operation,
        audienceExternalId: input.audienceExternalId ?? unknownAudience,
        accountExternalId: input.accountExternalId ?? unknownAccount,
        rows: lane.slice(batch * manifest.limits.rowsPerCall, (batch + 1) * manifest.limits.rowsPerCall),
        session: manifest.sessions === 'none' ? null : { id: (input.firstSessionId ?? 1) + index, seq: batch + 1, last: batch + 1 === batches },
        config: configAs(config),
      }
      return shownRequest(manifest.origin ?? '', destination.encode(part))
    })
  })
}

const shownRequest = (origin: string, { method, path, headers, body }: EncodedRequest): Preview['requests'][number] => ({
  method,
  url: `${origin}${path}`,
  headers,
  body: JSON.parse(body.toString()),
})

function shownMember<S>({ manifest }: Destination<S>, { customerId }: Person, { sets, dropped, rejected }: Prepared): PreviewMember {
  const sent = manifest.keys.flatMap(({ name }, key) => {
    const values = [...new Set(sets.flatMap((set) => set[key] || []))]
    const [only] = values
    return only === undefined ? [] : [[name, values.length === 1 ? only : values] as const]
  })
  return { customerId, sent: Object.fromEntries(sent), dropped, rejected }
}
