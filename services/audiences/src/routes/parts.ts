import type { Database } from '@audience-sync/db/database'
import type { Destinations } from '../destinations.ts'
import type { Peers } from '../peers.ts'

/** What all routes are made of. */
export interface RouteParts {
  readonly db: Database
  readonly peers: Peers
  readonly destinations: Destinations
}
