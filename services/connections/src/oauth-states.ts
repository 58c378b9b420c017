/**
 * Consents under way. The state is 32 random bytes that only the user's browser carries; we keep its hash, bound to tenant,
 * user, destination, redirect and connection. It works once, for ten minutes, at the destination that it was made for (F25).
 */
import { createHash, randomBytes } from 'node:crypto'
import { type Database, orm, type Tx } from '@audience-sync/db/database'
import { oauthState } from './schema.ts'

export type UsedState = Pick<typeof oauthState.$inferSelect, 'tenantId' | 'connectionId' | 'userId' | 'redirectUri' | 'returnUrl'>

const STATE_BYTES = 32
const LIFETIME = '10 minutes'
const KEPT = '1 day' // used and unused ones alike; long enough to look into a complaint

const hashOf = (state: string) => createHash('sha256').update(state).digest()

export interface NewState extends UsedState {
  readonly destination: string
}

/** Answers the state, which is nowhere else. */
export async function makeState(tx: Tx, values: NewState): Promise<string> {
  const state = randomBytes(STATE_BYTES).toString('base64url')
  await tx.query(`DELETE FROM oauth_state WHERE tenant_id = $1 AND created_at < now() - interval '${KEPT}'`, [values.tenantId])
  await orm(tx)
    .insert(oauthState)
    .values({ stateHash: hashOf(state), ...values })
  return state
}

/** Takes the state out of use. Undefined when it is unknown, used, too old or another destination's: callers tell none of that apart. */
export async function consumeState(db: Database, destination: string, state: string): Promise<UsedState | undefined> {
  const hash = hashOf(state)
  return db.tx(async (tx) => {
    await tx.query(`SELECT set_config('app.oauth_state', $1, true)`, [hash.toString('hex')]) // the row-level policy shows this one row
    const { rows } = await tx.query<UsedState>(
      `UPDATE oauth_state SET used_at = now()
        WHERE state_hash = $1 AND destination = $2 AND used_at IS NULL AND created_at > now() - interval '${LIFETIME}'
        RETURNING tenant_id AS "tenantId", connection_id AS "connectionId", user_id AS "userId", redirect_uri AS "redirectUri", return_url AS "returnUrl"`,
      [hash, destination],
    )
    return rows[0]
  })
}
