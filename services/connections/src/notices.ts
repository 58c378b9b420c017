/**
 * What a platform tells us of a person without being asked: they took their access back, or want to be forgotten. Both are
 * about who connected, not about members of audiences (vendors/meta.md §3.6).
 *
 * One notice: its signature → the connections, of any tenant, that rest on the person's consent → in one transaction their
 * tokens are emptied, they are `revoked`, everyone is told. Forgetting also drops the person's id; what is left is a number of
 * connections behind a code. A notice from before a newer consent changes nothing, so replays are harmless.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Forgetting } from '@audience-sync/contracts/rest/connections'
import { type Database, orm, type Tx } from '@audience-sync/db/database'
import type { ConnectAdapter, Notice } from '@audience-sync/destination-kit/connect-contract'
import { AppError } from '@audience-sync/errors/app-error'
import { setTenant } from '@audience-sync/events/consumer'
import type { Logger } from '@audience-sync/service/log'
import { and, eq } from 'drizzle-orm'
import { setStatus } from './connection-rows.ts'
import { emptyCredential } from './credential-rows.ts'
import { forgetting } from './schema.ts'

/** Fields of a form. */
export type Form = Readonly<Record<string, string>>

export interface Notices {
  /** Answers how many connections ended. Throws `not_found`, `notice_signature_invalid`. */
  takenBack(destination: string, form: Form): Promise<number>
  /** The same, and the person is forgotten. Answers the code under which that can be read. */
  forget(destination: string, form: Form): Promise<string>
  forgotten(destination: string, code: string): Promise<Forgetting | undefined>
}

export interface NoticesOptions {
  readonly db: Database
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly log: Logger
}

const CODE_BYTES = 32
const CLOCK_MS = 1_000 // platforms write whole seconds
const hashOf = (code: string) => createHash('sha256').update(code).digest()

export function createNotices({ db, adapters, log }: NoticesOptions): Notices {
  function read(destination: string, form: Form): Notice {
    const adapter = adapters.get(destination)
    if (!adapter?.notice) throw new AppError('not_found', `No notices of ${destination} are taken.`)
    const notice = adapter.notice(form)
    if (notice) return notice
    log.error({ destination }, 'a notice came that the platform did not sign')
    throw new AppError('notice_signature_invalid', 'The signature is not the platform’s.')
  }

  /** Ends what rests on the consent; the lock of each row, in their order, lets no new consent come between. */
  async function end(tx: Tx, destination: string, { subject, issuedAt }: Notice, forgets: boolean): Promise<number> {
    await tx.query(`SELECT set_config('app.housekeeping', 'on', true)`)
    const { rows } = await tx.query<{ tenant_id: string; id: string }>(
      'SELECT tenant_id, id FROM connection WHERE destination = $1 AND subject = $2 ORDER BY tenant_id, id',
      [destination, subject],
    )
    await tx.query(`SELECT set_config('app.housekeeping', '', true)`)
    let ended = 0
    for (const { tenant_id: tenantId, id } of rows) {
      await setTenant(tx, tenantId)
      const { rowCount } = await tx.query(
        `UPDATE connection SET access_ends_at = NULL, subject = CASE WHEN $4 THEN NULL ELSE subject END
         WHERE tenant_id = $1 AND id = $2 AND subject = $5 AND ($3::timestamptz IS NULL OR consented_at IS NULL OR consented_at < $3)`,
        [tenantId, id, issuedAt && new Date(issuedAt.getTime() + CLOCK_MS), forgets, subject],
      )
      if (!rowCount) continue
      await emptyCredential(tx, tenantId, id)
      await setStatus(tx, tenantId, id, 'revoked', { code: 'connection_revoked', detail: 'The person who connected took the access back at the platform.' })
      ended += 1
    }
    return ended
  }

  return {
    async takenBack(destination, form) {
      const notice = read(destination, form)
      const ended = await db.tx((tx) => end(tx, destination, notice, false))
      log.warn({ destination, ended }, 'a person took their access back at the platform')
      return ended
    },

    async forget(destination, form) {
      const notice = read(destination, form)
      const code = randomBytes(CODE_BYTES).toString('base64url')
      const ended = await db.tx(async (tx) => {
        const connections = await end(tx, destination, notice, true)
        await orm(tx)
          .insert(forgetting)
          .values({ codeHash: hashOf(code), destination, connections })
        return connections
      })
      log.warn({ destination, ended }, 'a person who connected was forgotten')
      return code
    },

    async forgotten(destination, code) {
      const [row] = await db.tx((tx) =>
        orm(tx)
          .select()
          .from(forgetting)
          .where(and(eq(forgetting.codeHash, hashOf(code)), eq(forgetting.destination, destination))),
      )
      if (!row) return undefined
      return {
        destination,
        status: 'completed',
        connections: row.connections,
        completedAt: row.completedAt.toISOString(),
        text: 'The tokens that rested on your consent and your id at the platform were deleted here. Nothing else about you was kept.',
      }
    },
  }
}
