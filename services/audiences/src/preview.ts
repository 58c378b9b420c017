/** The exact requests that would be sent for some people, by the very functions that send; nothing is sent. */
import type { Preview, PreviewRequest } from '@audience-sync/contracts/rest/audiences'
import { permission, suppression } from '@audience-sync/destination-kit/consent'
import type { KeySet, Person, Prepared, SendConfig } from '@audience-sync/destination-kit/contract'
import { type KnownDestination, parseSettings } from './destinations.ts'
import { wordsOf } from './reasons.ts'

const AUDIENCE = '{audience}'
const ACCOUNT = '{account}'

export function preview(destination: KnownDestination, asked: PreviewRequest, defaultCountry: string | undefined): Preview {
  const { manifest } = destination
  const config: SendConfig = { identifiers: asked.identifiers ?? manifest.identifiers, settings: parseSettings(manifest, asked.settings), defaultCountry }
  const prepared = asked.members.map((member) => ({ customerId: member.customerId, ...prepareOne(destination, asked, config, member) }))

  const lanes = new Map<string, KeySet[]>()
  for (const set of prepared.flatMap(({ sets }) => [...sets])) {
    const lane = destination.lane(set)
    lanes.set(lane, [...(lanes.get(lane) ?? []), set])
  }
  const requests = [...lanes.values()].map((rows) => {
    // A run numbers its batches; the id of its session is known only then.
    const session = manifest.sessions === 'run' ? { id: 1, seq: 1, last: true } : null
    const { method, path, headers, body } = destination.encode({
      operation: asked.operation,
      audienceExternalId: AUDIENCE,
      accountExternalId: ACCOUNT,
      rows,
      session,
      config,
    })
    return { method, url: `${manifest.origin}${path}`, headers: { ...headers }, body: JSON.parse(body.toString()) as unknown }
  })
  return {
    requests,
    members: prepared.map(({ customerId, sets, dropped, rejected }) => ({
      customerId,
      sent: sentOf(destination, sets),
      dropped: [...dropped],
      rejected: rejected === null ? null : wordsOf(rejected),
    })),
  }
}

/** A removal needs nobody's consent. */
function prepareOne(destination: KnownDestination, { operation }: PreviewRequest, config: SendConfig, member: PreviewRequest['members'][number]): Prepared {
  const purpose = destination.manifest.purpose(config.settings)
  const suppressed = operation === 'remove' ? null : suppression(permission(member.consent, member.identifiers.country, config.defaultCountry), purpose)
  if (suppressed) return { sets: [], dropped: [], rejected: suppressed }
  const person: Person = { ...member, limitedDataUse: purpose === 'ads_ldu' && member.consent.saleShareOptOut }
  return destination.prepare(person, config)
}

/** By the platform's key names; a list where a person's rows differ (several e-mail addresses). */
function sentOf({ manifest }: KnownDestination, sets: readonly KeySet[]): Record<string, unknown> {
  const named = manifest.keys.map(({ name }, position) => [name, [...new Set(sets.map((set) => set[position] ?? ''))].filter(Boolean)] as const)
  return Object.fromEntries(named.filter(([, values]) => values.length > 0).map(([name, values]) => [name, values.length === 1 ? values[0] : values]))
}
