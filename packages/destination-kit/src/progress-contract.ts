/** What a platform says of uploads it took, beside whether they are applied. Hints: nothing waits for them or follows from them. */
import type { Code } from '@audience-sync/errors/catalogue'
import type { Context } from './contract.ts'

/** Of one session, counted from its beginning; null where the platform does not say. */
export interface SessionProgress {
  /** In the platform's words. */
  readonly stage: string | null
  readonly received: number | null
  readonly matched: number | null
  readonly invalid: number | null
}

export interface Sessions {
  /** Pure: the session of an accepted batch, by its receipt. null: of none. */
  of(receipt: Readonly<Record<string, unknown>>): string | null
  /** One read call. null: the platform knows no such session (any more). */
  read(ctx: Context, audienceExternalId: string, session: string): Promise<SessionProgress | null>
}

/** Something that the platform remarks on a batch that it did apply. */
export interface Remark {
  readonly code: Code
  readonly detail: string
}
