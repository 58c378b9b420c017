/**
 * A destination with its far side and the levers that the suite pulls: what a test of the engine needs to know of any platform.
 * The two made-up ones live in memory; Meta's is the real adapter against its twin.
 */
import type { Context, Destination } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'

export interface Side {
  readonly destination: Destination
  readonly accountExternalId: string
  /** What connections would give out now. */
  grant(): { accessToken: string; version: number; tier: string | null }
  /** Time passes there, enough for what was accepted to be worked off. */
  pass(): void
  /** E-mail keys of who is there now, sorted. */
  members(): string[]
  /** How the far side writes the e-mail address of a test. */
  emailKey(email: string): string
  /** Uploads that arrived, whatever became of them, as they arrived. */
  uploads(): readonly { readonly operation: 'add' | 'remove'; readonly body: string }[]
  /** Audiences that exist there. */
  audiences(): number
  /** The next uploads are done, and not answered. */
  loseAnswers(times: number): void
  /** The next upload meets a used up quota. */
  throttle(): void
  /** From now on the platform does not take this person, in its own way. */
  refuse(email: string): void
  /** Connections has a new token and the platform knows the old one no more. */
  rotateToken(): void
  /** No token is any good. */
  killToken(): void
  close(): Promise<void>
}

/** Levers that both made-up platforms share, and their tokens. */
export class Levers {
  version = 1
  dead = false
  lost = 0
  throttled = 0
  readonly refused = new Set<string>()
  readonly uploads: { operation: 'add' | 'remove'; body: string }[] = []

  get token(): string {
    return `token-${this.version}`
  }

  /** What every call meets first. */
  meet(ctx: Context, method: string, path: string): void {
    ctx.onCall({ method, path, startedAt: new Date(), durationMs: 1, status: 200, request: null, response: null, platformRequestId: null })
    if (this.dead || ctx.accessToken !== this.token) throw new DestinationError({ kind: 'auth', code: 'connection_expired', message: 'Token expired.' })
  }

  /** What an upload meets before anything is done. */
  meetUpload(quota: string): void {
    if (this.throttled === 0) return
    this.throttled -= 1
    throw new DestinationError({ kind: 'throttled', code: 'platform_throttled', message: 'Slow down.', retryAfterMs: 60_000, quota })
  }

  /** What an upload meets after it was done. */
  answer(): void {
    if (this.lost === 0) return
    this.lost -= 1
    throw new DestinationError({ kind: 'unknown', code: 'platform_bad_reply', message: 'The connection was reset.' })
  }

  side(): Pick<Side, 'grant' | 'uploads' | 'loseAnswers' | 'throttle' | 'refuse' | 'rotateToken' | 'killToken' | 'close' | 'emailKey'> {
    return {
      grant: () => ({ accessToken: this.token, version: this.version, tier: null }),
      uploads: () => this.uploads,
      loseAnswers: (times) => {
        this.lost = times
      },
      throttle: () => {
        this.throttled = 1
      },
      refuse: (email) => this.refused.add(email),
      rotateToken: () => {
        this.version += 1
        this.dead = false
      },
      killToken: () => {
        this.dead = true
      },
      emailKey: (email) => email,
      close: async () => {},
    }
  }
}
