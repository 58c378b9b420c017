/** Whether an audience may be made as asked: everything is looked at before anything is written. */
import { uuidOf } from '@audience-sync/contracts/ids'
import { groupBit, type IdentifierChoice } from '@audience-sync/contracts/people'
import type { NewAudience } from '@audience-sync/contracts/rest/audiences'
import { groupsSendable, type Transformation } from '@audience-sync/contracts/transformations'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { AppError } from '@audience-sync/errors/app-error'
import { type Destinations, parseSettings } from './destinations.ts'
import { fillName, flaggedIn } from './names.ts'
import type { Account, Behavior, Peers } from './peers.ts'

export interface CheckedAudience {
  /** With the name filled in, and the identifiers of the preset. */
  readonly asked: NewAudience & { readonly identifiers: string[] }
  readonly manifest: Manifest
  /** With the destination's defaults filled in. */
  readonly settings: Record<string, unknown>
  readonly minimumSize: number
  /** Bare UUIDs. */
  readonly behaviorId: string
  readonly accountId: string
  readonly connectionId: string
  readonly accountExternalId: string
  readonly members: number
  /** Counted up to the minimum. */
  readonly eligible: number
}

/** Groups of which one makes a person eligible. What transformations may mend is among them: the count then is the most that can be. */
export function groupsOf(identifiers: readonly string[], transformations: readonly Transformation[]): number {
  const chosen = identifiers.reduce((bits, choice) => bits | groupBit(choice as IdentifierChoice), 0)
  return groupsSendable(transformations, chosen)
}

/** A field of the body that the schema could not refuse by itself. */
export const invalid = (path: string, message: string) =>
  new AppError('validation_failed', 'The body is not valid.', { extra: { errors: [{ in: 'body', path, message }] } })

/** What was chosen, by itself or by a preset; undefined: nothing was. */
export function chosenIdentifiers(
  { presets = [], title }: Manifest,
  { identifiers, identifierPreset }: { identifiers?: IdentifierChoice[] | undefined; identifierPreset?: string | undefined },
): IdentifierChoice[] | undefined {
  if (identifierPreset === undefined) return identifiers
  const preset = presets.find(({ id }) => id === identifierPreset)
  if (!preset) throw invalid('identifierPreset', `${title} has ${presets.length === 0 ? 'none' : presets.map(({ id }) => id).join(', ')}`)
  return [...preset.identifiers]
}

/** Refuses what the destination would not take. */
export function checkChoices({
  manifest,
  name,
  description,
  identifiers,
}: {
  manifest: Manifest
  name: string
  description: string
  identifiers: readonly string[]
}): void {
  const { limits, title } = manifest
  const untaken = identifiers.filter((choice) => !manifest.identifiers.some((one) => one === choice))
  if (untaken.length > 0) throw invalid('identifiers', `${title} does not take ${untaken.join(', ')}`)
  if (name.length > limits.nameLength) throw invalid('name', `at most ${limits.nameLength} characters at ${title}`)
  if (description.length > limits.descriptionLength) throw invalid('description', `at most ${limits.descriptionLength} characters at ${title}`)
}

const UNCHOSEN: readonly IdentifierChoice[] = ['email', 'phone']

/** `strict`: words that the platform may flag are refused, not only shown. */
export async function checkNew(peers: Peers, destinations: Destinations, tenantId: string, asked: NewAudience, strict: boolean): Promise<CheckedAudience> {
  const manifest = destinations.get(asked.destination)?.manifest
  if (!manifest) throw new AppError('destination_unknown', `There is no destination "${asked.destination}"; one of: ${[...destinations.keys()].join(', ')}.`)
  const settings = parseSettings(manifest, asked.settings)
  const identifiers = chosenIdentifiers(manifest, asked) ?? [...UNCHOSEN]
  const minimumSize = asked.minimumSize ?? manifest.minimumSize

  const behaviorId = uuidOf('behavior', asked.behaviorId)
  const behavior = behaviorId && (await peers.behavior(tenantId, behaviorId))
  if (!behaviorId || !behavior) throw new AppError('behavior_unknown', 'There is no behavior with that id.')
  const accountId = uuidOf('account', asked.accountId ?? (await defaultAccount(peers, tenantId, asked, behavior)))
  const account = accountId && (await peers.account(tenantId, accountId))
  if (!accountId || !account)
    throw new AppError('account_unknown', asked.accountId ? 'There is no account with that id.' : 'The default account is there no more.')
  const name = nameOf(asked, behavior, manifest, settings)
  checkChoices({ manifest, name, description: asked.description, identifiers })
  if (asked.adopt && manifest.audienceId?.test(asked.adopt.externalId) === false) throw invalid('adopt.externalId', `no id of an audience at ${manifest.title}`)
  if (strict) refuseFlagged(manifest, { name, description: asked.description })
  checkAccount(account, asked.destination)
  const connectionId = uuidOf('connection', account.connectionId)
  if (!connectionId) throw new AppError('service_unavailable', 'connections answered without a connection.')

  const { eligible } = await peers.eligible(tenantId, behaviorId, manifest.purpose(settings), groupsOf(identifiers, asked.transformations), minimumSize)
  return {
    asked: { ...asked, name, identifiers },
    manifest,
    settings,
    minimumSize,
    behaviorId,
    accountId,
    connectionId,
    accountExternalId: account.externalId,
    members: behavior.members,
    eligible,
  }
}

/** @throws AppError account_required */
async function defaultAccount(peers: Peers, tenantId: string, { destination, behaviorId, purpose }: NewAudience, { kind }: Behavior): Promise<string> {
  const found = await peers.defaultAccount(tenantId, { destination, behaviorId, behaviorKind: kind, purpose })
  if (found === null) throw new AppError('account_required', `\`accountId\` is left out, and there is no default account for this export to ${destination}.`)
  return found
}

function nameOf({ name, purpose, schedule }: NewAudience, behavior: Behavior, manifest: Manifest, settings: unknown): string {
  const memberDays = manifest.memberDays?.(settings) ?? null
  const filled = fillName(name, { behavior: behavior.name, purpose, memberDays, now: new Date(), timeZone: schedule.timeZone })
  if ('problem' in filled) throw invalid('name', filled.problem)
  return filled.name
}

function refuseFlagged({ names, title }: Manifest, texts: { name: string; description: string }): void {
  const words = flaggedIn(texts, names).flatMap((found) => found.words)
  if (words.length > 0) throw new AppError('name_flagged', `${title} may flag an audience for: ${words.join(', ')}.`)
}

function checkAccount(account: Account, destination: string): void {
  if (account.destination !== destination) throw new AppError('account_unknown', `The account is one of ${account.destination}, not of ${destination}.`)
  if (!account.selected) throw new AppError('account_not_selected', `The account "${account.name}" is not selected.`)
  if (account.connectionStatus === 'revoked') throw new AppError('connection_revoked', 'The connection of this account was revoked.')
  if (account.connectionStatus !== 'active') throw new AppError('connection_expired', `The connection of this account is ${account.connectionStatus}.`)
  if (!account.termsSigned)
    throw new AppError('terms_not_signed', `The terms of this account are not signed${account.termsUrl ? `: ${account.termsUrl}` : ''}.`)
  if (account.status === 'disabled' || account.status === 'closed')
    throw new AppError('account_inactive', `The account "${account.name}" is ${account.statusDetail}.`)
  if (!account.canManageAudiences) throw new AppError('permission_denied', 'The connected user may not manage audiences of this account.')
}
