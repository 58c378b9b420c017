/**
 * The scheduler's memory of schedules, from what audiences says of them. Both topics carry the whole state and a version; what
 * is older than stored is passed over, in whatever order the topics are read.
 */
import type { AudienceChanged, AudienceCreated } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/audience_pb'
import { topics } from '@audience-sync/contracts/events/topics'
import { uuidOf } from '@audience-sync/contracts/ids'
import { nextSlot, Schedule } from '@audience-sync/contracts/schedule'
import type { Tx } from '@audience-sync/db/database'
import { type AnyConsumer, defineConsumer, PoisonError, type ReceivedEvent } from '@audience-sync/events/consumer'

export const consumers: readonly AnyConsumer[] = [
  defineConsumer({ name: 'scheduler.audience-created', topic: topics.audienceCreated, handle: learnAll }),
  defineConsumer({ name: 'scheduler.audience-changed', topic: topics.audienceChanged, handle: learnAll }),
]

async function learnAll(tx: Tx, events: readonly ReceivedEvent<AudienceCreated | AudienceChanged>[]): Promise<void> {
  for (const { tenantId, message } of events) await learn(tx, tenantId, message)
}

interface Known {
  readonly schedule: Schedule
  readonly active: boolean
  readonly version: number
}

async function learn(tx: Tx, tenantId: string, message: AudienceCreated | AudienceChanged): Promise<void> {
  const audienceId = uuidOf('audience', message.audienceId)
  const schedule = Schedule.safeParse(
    Object.fromEntries(Object.entries(message.schedule ?? {}).filter(([name, value]) => name !== '$typeName' && value !== '')),
  )
  if (!audienceId || !schedule.success) throw new PoisonError('event_malformed', 'The event names no audience, or its schedule cannot be read.')
  const { active, version } = { active: isActive(message), version: Number(message.version) }

  const { rows: before } = await tx.query<Known>('SELECT schedule, active, version FROM schedule WHERE audience_id = $1 FOR UPDATE', [audienceId])
  const known = before[0]
  if (known && known.version >= version) return
  // A new name, or another status that runs too, must not lose the slot that is due next.
  const sameTimes = known && known.active === active && JSON.stringify(Schedule.parse(known.schedule)) === JSON.stringify(schedule.data)
  const { rows: clock } = await tx.query<{ now: Date }>('SELECT now() AS now')
  const nextAt = active ? nextSlot(schedule.data, clock[0]?.now as Date) : null
  await tx.query(
    `INSERT INTO schedule (audience_id, tenant_id, destination, schedule, active, version, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (audience_id) DO UPDATE SET destination = excluded.destination, schedule = excluded.schedule, active = excluded.active,
       version = excluded.version, next_at = CASE WHEN $8 THEN schedule.next_at ELSE excluded.next_at END
     WHERE schedule.version < excluded.version`,
    [audienceId, tenantId, message.destination, schedule.data, active, version, nextAt, sameTimes ?? false],
  )
}

/** Paused and deleted audiences have no slots; one that is only too small has: its removals go on (SYNC.md C14). */
const isActive = ({ deleted, status, code }: AudienceCreated | AudienceChanged) =>
  !deleted && status !== 'deleting' && (status !== 'paused' || code === 'audience_too_small')
