/** All that one twin holds; made once in twin.ts and handed to every part. */
import type { Account } from './accounts.ts'
import type { Audience } from './audiences.ts'
import type { TwinClock } from './clock.ts'
import type { Faults } from './faults.ts'
import type { Journal } from './journal.ts'
import type { Limiter } from './limits.ts'
import type { Settings } from './options.ts'
import type { Random } from './random.ts'
import type { Sessions } from './sessions.ts'
import type { Tokens } from './tokens.ts'
import type { Versions } from './versions.ts'

export type World = {
  settings: Settings
  clock: TwinClock
  random: Random
  tokens: Tokens
  accounts: Map<string, Account>
  /** By id; deleted ones stay with `deletedAt`, because the platform answers differently for what never was. */
  audiences: Map<string, Audience>
  /** Identifiers of one platform account, from a control route. */
  people: Map<string, string>
  sessions: Sessions
  /** Calls of `usersofanyaudience`; those not heard were ignored without an error (§4.4). */
  optOuts: { at: number; accountId: string; rows: number; heard: boolean; removed: number }[]
  limiter: Limiter
  faults: Faults
  journal: Journal
  versions: Versions
  /** Ids go on over a reset: a stale id must not find a new audience. Beyond 2^53 on purpose. */
  nextAudienceId(): string
  /** Where the twin is reached, known once it listens. */
  url: string
}
