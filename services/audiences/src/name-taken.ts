/** One name, one audience of an account: nobody tells two of the same name apart in the platform's own screens. */
import type { Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { freeName } from './names.ts'

/**
 * Throws `name_taken` with a suggestion. Two who ask at once wait for each other until the transaction ends. Audiences that are being
 * deleted have given their name away. `exceptNo`: the audience that is renamed.
 */
export async function claimName(tx: Tx, accountId: string, name: string, nameLength: number, exceptNo: number | null = null): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('audience name ' || $1, 0))`, [accountId])
  const { rows } = await tx.query<{ no: number; name: string }>(
    'SELECT no, name FROM audience WHERE account_id = $1 AND deleted_at IS NULL AND delete_requested_at IS NULL',
    [accountId],
  )
  const lower = name.toLowerCase()
  if (!rows.some((row) => row.no !== exceptNo && row.name.toLowerCase() === lower)) return
  const suggestion = freeName(name, new Set(rows.map((row) => row.name.toLowerCase())), nameLength)
  throw new AppError('name_taken', `Another audience of this account is named "${name}".`, { extra: { suggestion } })
}
