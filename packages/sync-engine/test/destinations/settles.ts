/**
 * A made-up platform that takes a batch, gives a job id and works on it for hours. A person has to be a contact before a list can hold
 * them, so an upload is two calls. One bad row refuses a whole batch, named or not; other rows are refused late, by name or as a
 * number; some jobs fail as a whole, some never end. What is not added again is forgotten after 30 days. All of it counts against one
 * quota of the whole installation, reads apart from writes.
 */
import type { Accepted, AcceptedBatch, Destination, FarAudience, Settled } from '@audience-sync/destination-kit/contract'
import { DestinationError, type RowRejection } from '@audience-sync/destination-kit/failure'
import type { KeyDefinition, Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { readDigest, sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { email as plainEmail } from '@audience-sync/destination-kit/normalise/email'
import { phone as plainPhone } from '@audience-sync/destination-kit/normalise/phone'
import { z } from 'zod'
import { Levers, type Side } from './side.ts'

const Settings = z.strictObject({ memberDays: z.int().min(3).default(30) })
type Settings = z.infer<typeof Settings>

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const FIRST_LOOK_MS = 30 * 60_000 // a job takes half an hour at least

const keys: readonly KeyDefinition[] = [
  { name: 'own', form: 'text', matchesAlone: true },
  { name: 'email', form: 'sha256', matchesAlone: true },
  { name: 'phone', form: 'sha256', matchesAlone: true },
]

const manifest: Manifest<Settings> = {
  id: 'settles',
  title: 'Settles later',
  apiVersion: '1',
  settings: Settings,
  keys,
  identifiers: ['email', 'phone'],
  purpose: () => 'ads',
  sends: () => ({ value: false, consent: true }),
  limits: { rowsPerCall: 100, nameLength: 100, descriptionLength: 100, audiencesPerAccount: 10 },
  minimumSize: 1,
  quotas: [
    { id: 'project_writes', scope: 'installation', cost: { read: 0, write: 1 }, capacity: { '': 300 }, decaySeconds: 60 },
    { id: 'project_reads', scope: 'installation', cost: { read: 1, write: 0 }, capacity: { '': 300 }, decaySeconds: 60 },
  ],
  keepsOrder: false,
  applies: 'settle',
  batchesPerLook: 1,
  refusesLate: true,
  renewAfterDays: ({ memberDays }) => Math.floor((memberDays * 2) / 3),
  sessions: 'none',
  normaliserVersion: 1,
  statusPage: 'https://status.example/',
  advice: [],
  sizeBands: [{ upTo: null, band: 'any', text: 'Any size.' }],
}

type Row = readonly string[]

interface Job {
  readonly operation: 'add' | 'remove'
  readonly list: string
  readonly rows: readonly Row[]
  readonly endsAt: number
  ended: boolean
}

export interface SettlesSide extends Side {
  /** Whether a refused batch says which row is bad. */
  names: boolean
  /** Refused when the job ends, by name. */
  readonly late: Set<string>
  /** The next job counts so many rows as refused when it ends, without saying which. */
  lateUnnamed: number
  /** A job with one of these ends in failure as a whole, and does not say why. */
  readonly poison: Set<string>
  /** The next jobs end in failure as a whole. */
  failing: number
  /** The next jobs never end. */
  stuck: number
  /** Jobs that end together are worked off last first. */
  reversed: boolean
  readonly reads: { jobs: number }
  contacts(): number
  now(): number
  advance(ms: number): void
}

export function settlesSide(): SettlesSide {
  const levers = new Levers()
  let clock = Date.now()
  const contacts = new Map<string, { id: string; row: Row }>()
  const lists = new Map<string, { marker: string; name: string; members: Map<string, number> }>()
  const jobs = new Map<string, Job>()
  const contactOf = (row: Row) => [...contacts.values()].find((contact) => row.some((value, i) => value !== '' && contact.row[i] === value))
  const emailOf = (row: Row) => row[1] ?? ''
  const isBad = (row: Row) => levers.refused.has(emailOf(row))

  /** First call: everyone in it is a contact afterwards. A removal makes nobody one. */
  function upsert(rows: readonly Row[]): void {
    const bad = rows.flatMap((row, i): RowRejection[] => (isBad(row) ? [{ row: i, code: 'platform_rejected_row' }] : []))
    if (bad.length > 0) {
      const failure = { kind: 'rows', code: 'platform_rejected_row', message: 'A member is not valid.' } as const
      throw new DestinationError(side.names ? { ...failure, rows: bad } : failure)
    }
    for (const row of rows) contacts.set(row[0] ?? '', { id: contacts.get(row[0] ?? '')?.id ?? `contact-${contacts.size + 1}`, row })
  }

  /** Second call: a job for the list. */
  function begin(list: string, operation: 'add' | 'remove', rows: readonly Row[]): string {
    if (!lists.has(list)) throw new DestinationError({ kind: 'gone', code: 'audience_missing', message: 'No such list.' })
    const id = `job-${jobs.size + 1}`
    const never = side.stuck > 0
    if (never) side.stuck -= 1
    jobs.set(id, { operation, list, rows, endsAt: never ? Number.POSITIVE_INFINITY : clock + FIRST_LOOK_MS, ended: false })
    return id
  }

  const outcomes = new Map<string, Settled>()
  function work(): void {
    for (const [id, job] of side.reversed ? [...jobs].reverse() : [...jobs]) {
      if (job.ended || job.endsAt > clock) continue
      job.ended = true
      if (side.failing > 0) {
        side.failing -= 1
        outcomes.set(id, { batchId: '', state: 'rejected', failure: { kind: 'unavailable', code: 'platform_rejected_row', message: 'The job failed.' } })
        continue
      }
      if (job.operation === 'add' && job.rows.some((row) => side.poison.has(emailOf(row)))) {
        outcomes.set(id, { batchId: '', state: 'rejected', failure: { kind: 'rows', code: 'platform_rejected_row', message: 'A member is not valid.' } })
        continue
      }
      const unnamed = side.lateUnnamed
      side.lateUnnamed = 0
      const rejections: RowRejection[] = []
      job.rows.forEach((row, i) => {
        if (side.late.has(emailOf(row))) rejections.push({ row: i, code: 'platform_rejected_row' })
        else if (i >= unnamed) place(job, row)
      })
      outcomes.set(id, { batchId: '', state: 'applied', rejections, unnamedRejections: unnamed })
    }
  }

  function place({ operation, list }: Job, row: Row): void {
    const contact = contactOf(row)
    if (!contact) return
    const { memberDays } = Settings.parse({})
    if (operation === 'add') lists.get(list)?.members.set(contact.id, clock + memberDays * DAY_MS)
    else lists.get(list)?.members.delete(contact.id)
  }

  const far = (externalId: string): FarAudience => {
    const list = lists.get(externalId)
    return { externalId, name: list?.name ?? '', size: list?.members.size ?? null, state: 'ready', detail: '', expiresAt: null }
  }

  const destination: Destination<Settings> = {
    manifest,
    prepare({ customerId, identifiers: { email, phone } }, { identifiers, defaultCountry }) {
      const digest = (wanted: boolean, value: string | undefined, plain: (value: string) => string | null) => {
        if (!wanted || value === undefined) return ''
        const known = readDigest(value)
        const normal = known === undefined ? plain(value) : null
        return known ?? (normal === null ? '' : sha256(normal))
      }
      const values = [
        digest(identifiers.includes('email'), email, plainEmail),
        digest(identifiers.includes('phone'), phone, (value) => plainPhone(value, defaultCountry)),
      ]
      return values.some(Boolean)
        ? { sets: [[customerId, ...values]], dropped: [], rejected: null }
        : { sets: [], dropped: [], rejected: 'no_usable_identifier' }
    },
    lane: () => '',
    encode: ({ operation, audienceExternalId, rows }) => ({
      method: 'POST',
      path: `/lists/${audienceExternalId}/${operation}`,
      headers: {},
      body: Buffer.from(JSON.stringify(rows)),
    }),
    async push(ctx, { method, path, body }): Promise<Accepted> {
      const [, , list = '', operation] = path.split('/') as [string, string, string, 'add' | 'remove']
      const rows = JSON.parse(body.toString()) as Row[]
      levers.uploads.push({ operation, body: body.toString() })
      levers.meet(ctx, 'POST', '/contacts')
      levers.meetUpload('project_writes')
      if (operation === 'add') upsert(rows)
      levers.meet(ctx, method, path)
      const jobId = begin(list, operation, rows)
      levers.answer()
      return { rejections: [], unnamedRejections: 0, receipt: { jobId, at: clock }, acceptedAt: new Date(clock) }
    },
    async settle(ctx, _list, batches: readonly AcceptedBatch[]) {
      if (batches.length > 1) throw new Error('A job is asked about by itself.')
      return batches.map(({ batchId, receipt }): Settled => {
        const young = Number(receipt.at) + FIRST_LOOK_MS - clock
        if (young > 0) return { batchId, state: 'pending', lookAgainAfterMs: young }
        levers.meet(ctx, 'GET', `/jobs/${receipt.jobId}`)
        side.reads.jobs += 1
        const outcome = outcomes.get(String(receipt.jobId))
        return outcome ? { ...outcome, batchId } : { batchId, state: 'pending', lookAgainAfterMs: HOUR_MS }
      })
    },
    async findAudiences(ctx, marker) {
      levers.meet(ctx, 'GET', '/lists')
      return [...lists].filter(([, list]) => list.marker === marker).map(([id]) => far(id))
    },
    async createAudience(ctx, { name, marker }) {
      levers.meet(ctx, 'POST', '/lists')
      const id = `list-${lists.size + 1}`
      lists.set(id, { marker, name, members: new Map() })
      return far(id)
    },
    async readAudience(ctx, id) {
      levers.meet(ctx, 'GET', `/lists/${id}`)
      return lists.has(id) ? far(id) : null
    },
    updateAudience: async () => {},
    async deleteAudience(ctx, id) {
      levers.meet(ctx, 'DELETE', `/lists/${id}`)
      lists.delete(id)
    },
  }

  const side: SettlesSide = {
    ...levers.side(),
    destination: destination as Destination,
    accountExternalId: 'customer-1',
    names: false,
    late: new Set(),
    poison: new Set(),
    lateUnnamed: 0,
    failing: 0,
    stuck: 0,
    reversed: false,
    reads: { jobs: 0 },
    contacts: () => contacts.size,
    now: () => clock,
    advance(ms) {
      clock += ms
      work()
    },
    pass: () => side.advance(HOUR_MS),
    emailKey: sha256,
    refuse: (email) => levers.refused.add(sha256(email)),
    members: () =>
      [...lists.values()]
        .flatMap(({ members }) =>
          [...members].filter(([, until]) => until > clock).map(([id]) => [...contacts.values()].find((contact) => contact.id === id)?.row),
        )
        .map((row) => (row ? emailOf(row) : ''))
        .sort(),
    audiences: () => lists.size,
  }
  return side
}
