/** Everything a route may use, made once in `start.ts` (or by a test). */
import type { Database } from '@audience-sync/db/database'
import type { AccountSync } from './account-sync.ts'
import type { Checker } from './check.ts'
import type { Flow } from './flow.ts'
import type { Grants } from './grants.ts'
import type { Notices } from './notices.ts'
import type { Removal } from './removal.ts'
import type { ReturnUrls } from './return-url.ts'

export interface Context {
  readonly db: Database
  readonly accounts: AccountSync
  readonly checker: Checker
  readonly flow: Flow
  readonly grants: Grants
  readonly notices: Notices
  /** Of the gateway, as browsers see it, without a slash at the end. */
  readonly publicUrl: string
  readonly removal: Removal
  readonly returnUrls: ReturnUrls
}

/** Routes that ask a platform: several calls follow each other, and a platform may take its time for each. */
export const PLATFORM_TIMEOUT_MS = 60_000
