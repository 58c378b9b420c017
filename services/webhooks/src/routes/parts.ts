import type { Database } from '@audience-sync/db/database'
import type { Poster } from '../post.ts'
import type { Secrets } from '../secrets.ts'

/** Everything a route may use. */
export interface RouteParts {
  readonly db: Database
  readonly secrets: Secrets
  readonly poster: Poster
  readonly maxEndpoints: number
}
