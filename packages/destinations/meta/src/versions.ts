/**
 * Versions of the Marketing API and their ends: vendors/meta.md §0 as data. The Graph API of the same number lives longer, but audience
 * calls die with the Marketing date. A version whose end Meta has not named ("TBD") is taken to live as long as the shortest-lived of
 * the older ones did: they lived 11 to 13 months.
 */
import type { VersionLife } from '@audience-sync/destination-kit/version-contract'
import { z } from 'zod'

/** Newest on 2026-11-23, and the one that a new app may use (§0). */
export const currentVersion = 'v26.0'

interface Version {
  readonly version: string
  readonly released: string
  /** null: TBD. */
  readonly marketingUntil: string | null
}

/** Newest first. */
const versions: readonly Version[] = [
  { version: 'v26.0', released: '2026-07-29', marketingUntil: null },
  { version: 'v25.0', released: '2026-02-18', marketingUntil: null },
  { version: 'v24.0', released: '2025-10-08', marketingUntil: '2026-10-06' },
  { version: 'v23.0', released: '2025-05-29', marketingUntil: '2026-06-09' },
  { version: 'v22.0', released: '2025-01-21', marketingUntil: '2026-02-19' },
  { version: 'v21.0', released: '2024-10-02', marketingUntil: '2025-09-09' },
]

const shortestLifeMonths = 11
/** Time to raise the version, test, and roll out. */
const warnDays = 60
const dayMs = 86_400_000

const numberOf = (version: string): number => Number(version.slice(1))
const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10)

function monthsAfter(day: string, months: number): string {
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCMonth(date.getUTCMonth() + months)
  return dayOf(date.getTime())
}

/** What is known of a version on that day. Below all that the table knows is expired: Meta keeps none that long. */
export function versionLife(version: string, now: Date): VersionLife {
  const known = versions.find((one) => one.version === version)
  if (!known) {
    const older = numberOf(version) < numberOf(versions.at(-1)?.version ?? currentVersion)
    const text = older
      ? `Meta no longer serves ${version}: configure ${currentVersion}.`
      : `${version} is not one that this adapter was made for: ${currentVersion} is the newest it knows.`
    return { version, releasedOn: null, endsOn: null, endIsGuessed: false, state: older ? 'expired' : 'unknown', text }
  }
  const { released, marketingUntil } = known
  const endsOn = marketingUntil ?? monthsAfter(released, shortestLifeMonths)
  const today = dayOf(now.getTime())
  const facts = { version, releasedOn: released, endsOn, endIsGuessed: marketingUntil === null }
  if (marketingUntil !== null && marketingUntil <= today)
    return { ...facts, state: 'expired', text: `The Marketing API ${version} ended on ${marketingUntil}: configure ${currentVersion}.` }
  // Of a guessed end the guess itself is the careful one: from there on it may end at any time.
  const warnFrom = marketingUntil === null ? endsOn : dayOf(Date.parse(`${marketingUntil}T00:00:00Z`) - warnDays * dayMs)
  if (today < warnFrom) return { ...facts, state: 'current', text: `The Marketing API ${version} is served.` }
  const text =
    marketingUntil === null
      ? `The Marketing API ${version} is older than ${shortestLifeMonths} months, which is when Meta began to end older versions: raise META_API_VERSION.`
      : `The Marketing API ${version} ends on ${marketingUntil}: raise META_API_VERSION before.`
  return { ...facts, state: 'ending', text }
}

/** @throws where Meta would refuse every call about audiences, or send it to a version that the adapter does not speak */
export function refuseDeadVersion(version: string, now: Date): void {
  const { state, text } = versionLife(version, now)
  if (state === 'expired') throw new Error(text)
}

/** Of the configuration: a service does not start with a version that has ended. */
export const zApiVersion = z
  .string()
  .regex(/^v\d+\.\d+$/)
  .refine((version) => versionLife(version, new Date()).state !== 'expired', {
    error: ({ input }) => (typeof input === 'string' ? versionLife(input, new Date()).text : 'not a version'),
  })
