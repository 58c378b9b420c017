/**
 * "500 customer-file audiences per ad account": known from the list that is read before each creation, and found out when Meta refuses
 * one, which it does with a code that says no more than that the creation failed.
 */
import { DestinationError, type Failure } from '@audience-sync/destination-kit/failure'

export const audiencesPerAccount = 500

/** A list that says "full" holds for as long as one creation takes; somebody may delete one meanwhile. */
const holdsMs = 60_000

/** What Meta may answer to one audience too many: "create failed" and "invalid parameter", without a subcode (vendors/meta.md §2 has none). */
const mayMeanFull: ReadonlySet<string> = new Set(['2654', '100'])

export function audienceLimit(now: () => number) {
  /** Accounts whose list was full, with the time at which it was read. */
  const full = new Map<string, number>()
  const failure = (platform: Failure['platform']): Failure => ({
    kind: 'invalid',
    code: 'audience_limit',
    message: `The ad account has ${audiencesPerAccount} custom audiences, which is Meta’s limit.`,
    ...(platform && { platform }),
  })
  return {
    /** After a whole list was read. */
    counted(account: string, customs: number): void {
      if (customs >= audiencesPerAccount) full.set(account, now())
      else full.delete(account)
    },
    /** Before a creation that would be refused. */
    check(account: string): void {
      if ((full.get(account) ?? Number.NEGATIVE_INFINITY) > now() - holdsMs) throw new DestinationError(failure(undefined))
    },
    mayMean: (error: unknown): error is DestinationError => error instanceof DestinationError && mayMeanFull.has(error.failure.platform?.code ?? ''),
    /** A refusal that the list explains; else the refusal itself. */
    explained: (error: DestinationError, customs: number): DestinationError =>
      customs >= audiencesPerAccount ? new DestinationError(failure(error.failure.platform), error) : error,
  }
}
