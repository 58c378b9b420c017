import { type IdKind, uuidOf } from '@audience-sync/contracts/ids'
import { AppError } from '@audience-sync/errors/app-error'

/** The UUID of an id in a path. One that is malformed, unknown or another tenant's answers the same 404. */
export function pathId(kind: IdKind, id: string): string {
  const uuid = uuidOf(kind, id)
  if (!uuid) throw missing(kind)
  return uuid
}

export const missing = (kind: IdKind): AppError => new AppError('not_found', `There is no such ${kind}.`)
