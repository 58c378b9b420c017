/** The Kafka door: the same functions as behind the REST routes, in transactions of up to ten messages of a thousand changes. */
import { contentTypes, header } from '@audience-sync/contracts/events/headers'
import { topics } from '@audience-sync/contracts/events/topics'
import { uuidOf } from '@audience-sync/contracts/ids'
import { CustomerId, NewBehavior } from '@audience-sync/contracts/rest/behaviors'
import type { Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { type AnyConsumer, defineConsumer, PoisonError } from '@audience-sync/events/consumer'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { timestampDate } from '@bufbuild/protobuf/wkt'
import { findBehaviorNumbers, storeBehavior } from '../behaviors.ts'
import { ingestCustomers } from '../ingest/customers.ts'
import { eraseCustomer } from '../ingest/erase.ts'
import { ingestMemberships, type MembershipInput } from '../ingest/memberships.ts'
import { findTenant, holdCountry, storeTenant, type Tenant, tenantNamed } from '../tenants.ts'
import { behaviorNamed, changesOf, peopleOf } from './convert.ts'
import { eventIdOf } from './event-id.ts'
import { park } from './parked.ts'

const INGEST_BATCH = { messages: 10 }

export interface ConsumerParts {
  readonly vault: DekStore
  readonly now: () => number
}

async function tenantOf(tx: Tx, vault: DekStore, tenantId = ''): Promise<Tenant> {
  await holdCountry(tx, tenantId)
  const tenant = await findTenant(tx, vault, tenantId)
  if (!tenant) throw new PoisonError('tenant_unknown', 'No such tenant.')
  return tenant
}

export function consumers({ vault, now }: ConsumerParts): AnyConsumer[] {
  return [
    defineConsumer({
      name: 'behavior-export.memberships',
      tenantNamed,
      topic: topics.behaviorMembershipChanged,
      batch: INGEST_BATCH,
      async handle(tx, events, { log }) {
        const tenant = await tenantOf(tx, vault, events[0]?.tenantId)
        const read = events.map((event) => ({ event, behavior: behaviorNamed(event.message), changes: changesOf(event.message, now()) }))
        const references = read.map(({ behavior }) => behavior)
        const numbers = await findBehaviorNumbers(tx, tenant, references)
        const inputs: MembershipInput[] = []
        for (const { event, behavior, changes } of read) {
          const behaviorNo = numbers.get(behavior)
          // A copy in protobuf, whatever it came as: the dead letters say so too.
          if (behaviorNo === undefined)
            await park(tx, { ...event, headers: { ...event.headers, [header.contentType]: contentTypes.protobuf } }, behavior, new Date(now()))
          else for (const change of changes) inputs.push({ ...change, behaviorNo, eventId: eventIdOf(event.id) })
        }
        const { changed, stale } = await ingestMemberships(tx, tenant, inputs)
        log.debug({ received: inputs.length, changed, stale }, 'memberships')
      },
    }),

    defineConsumer({
      name: 'behavior-export.customers',
      tenantNamed,
      topic: topics.customerChanged,
      batch: INGEST_BATCH,
      async handle(tx, events, { log }) {
        const tenant = await tenantOf(tx, vault, events[0]?.tenantId)
        const inputs = events.flatMap((event) => peopleOf(event.message, now()))
        const { changed, stale } = await ingestCustomers(tx, await vault.current(tenant.id, inputs.length), tenant, inputs)
        log.debug({ received: inputs.length, changed, stale }, 'customers')
      },
    }),

    defineConsumer({
      name: 'behavior-export.behaviors',
      tenantNamed,
      topic: topics.behaviorChanged,
      async handle(tx, events) {
        const tenant = await tenantOf(tx, vault, events[0]?.tenantId)
        for (const { message, occurredAt } of events) {
          const { success, data } = NewBehavior.safeParse({
            key: message.key,
            name: message.name || message.key,
            kind: message.kind || undefined,
            description: message.description,
          })
          const id = message.behaviorId ? uuidOf('behavior', message.behaviorId) : undefined
          if (!success || (message.behaviorId && !id)) throw new PoisonError('validation_failed', 'The behavior is not described as it must be.')
          await storeBehavior(tx, tenant, { ...data, id, occurredAt: message.occurredAt ? timestampDate(message.occurredAt) : occurredAt }).catch(
            (error: unknown) => {
              if (error instanceof AppError) throw new PoisonError(error.code, error.message) // another try would fail alike, and hold up the rest
              throw error
            },
          )
        }
      },
    }),

    defineConsumer({
      name: 'behavior-export.erasures',
      tenantNamed,
      topic: topics.customerErasureRequested,
      async handle(tx, events) {
        const tenant = await tenantOf(tx, vault, events[0]?.tenantId)
        for (const { message } of events) {
          if (!CustomerId.safeParse(message.customerId).success) throw new PoisonError('validation_failed', 'The event names no customer.')
          await eraseCustomer(tx, tenant, message.customerId, new Date(now()))
        }
      },
    }),

    defineConsumer({
      name: 'behavior-export.tenants',
      topic: topics.tenantChanged,
      async handle(tx, events) {
        for (const { tenantId, message, occurredAt } of events) {
          const { slug, status, defaultCountry } = message
          await storeTenant(tx, vault, { id: tenantId, slug, status, defaultCountry: defaultCountry || undefined, occurredAt })
        }
      },
    }),
  ]
}
