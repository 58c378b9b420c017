/** From messages to the inputs of ingest, by the rules of the REST lines: one set of rules for both doors. */
import type { CustomerChanged, MembershipChanged } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/ingest_pb'
import { uuidOf } from '@audience-sync/contracts/ids'
import { BehaviorKey } from '@audience-sync/contracts/rest/behaviors'
import { PoisonError } from '@audience-sync/events/consumer'
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt'
import { type Checked, checkCustomer, checkMembership } from '../bulk/check.ts'
import type { CustomerInput } from '../ingest/customers.ts'
import type { MembershipInput } from '../ingest/memberships.ts'

/** `id:<uuid>` or `key:<key>`. */
export function behaviorNamed({ behavior }: Pick<MembershipChanged, 'behavior'>): string {
  const uuid = behavior.case === 'behaviorId' ? uuidOf('behavior', behavior.value) : undefined
  if (uuid) return `id:${uuid}`
  if (behavior.case === 'behaviorKey' && BehaviorKey.safeParse(behavior.value).success) return `key:${behavior.value}`
  throw new PoisonError('line_malformed', 'The event names no behavior.')
}

export type Change = Omit<MembershipInput, 'behaviorNo' | 'eventId'>

/** @throws PoisonError when one change is bad: an event is used whole or not at all. */
export const changesOf = ({ changes }: MembershipChanged, now: number): Change[] =>
  changes.map(({ customerId, member, occurredAt }) => must(checkMembership({ customerId, member, occurredAt: iso(occurredAt) }, now)))

/** @throws PoisonError when one person is bad. */
export const peopleOf = ({ customers }: CustomerChanged, now: number): CustomerInput[] =>
  customers.map(({ customerId, identifiers, consent, value, occurredAt }) =>
    must(
      checkCustomer(
        {
          customerId,
          occurredAt: iso(occurredAt),
          ...(identifiers && { identifiers: fields(identifiers) }),
          ...(consent && { consent: fields(consent) }),
          ...(value !== undefined && { value }),
        },
        now,
      ),
    ),
  )

const iso = (time: Timestamp | undefined): string | undefined => {
  try {
    return time && timestampDate(time).toISOString()
  } catch {
    return undefined // beyond what a date can be
  }
}

/** The message's own fields: those given, without what protobuf adds, and no empty list. */
const fields = (message: object) =>
  Object.fromEntries(
    Object.entries(message).filter(([name, value]) => !name.startsWith('$') && value !== undefined && !(Array.isArray(value) && value.length === 0)),
  )

function must<T>(checked: Checked<T>): T {
  if ('value' in checked) return checked.value
  throw new PoisonError(checked.code, checked.detail)
}
