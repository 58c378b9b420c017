/**
 * A made-up platform that answers at once, row by row: what it took is applied. It answers 207-like, a status for each row; some rows
 * it passes over in silence, with no status at all. It keeps order. Its keys are plain text and its people are of the CRM's purpose.
 */
import type { Accepted, Destination } from '@audience-sync/destination-kit/contract'
import { DestinationError, type RowRejection } from '@audience-sync/destination-kit/failure'
import type { KeyDefinition, Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { email as plainEmail } from '@audience-sync/destination-kit/normalise/email'
import { phone as plainPhone } from '@audience-sync/destination-kit/normalise/phone'
import { z } from 'zod'
import { Levers, type Side } from './side.ts'

const Settings = z.strictObject({})
type Settings = z.infer<typeof Settings>

const keys: readonly KeyDefinition[] = [
  { name: 'email', form: 'text', matchesAlone: true },
  { name: 'phone', form: 'text', matchesAlone: true },
]

const manifest: Manifest<Settings> = {
  id: 'answers',
  title: 'Answers at once',
  apiVersion: '1',
  settings: Settings,
  keys,
  identifiers: ['email', 'phone'],
  purpose: () => 'crm',
  sends: () => ({ value: false, consent: false }),
  limits: { rowsPerCall: 100, nameLength: 100, descriptionLength: 100, audiencesPerAccount: 10 },
  minimumSize: 1,
  quotas: [{ id: 'burst', scope: 'account', cost: { read: 1, write: 1 }, capacity: { '': 1_000 }, decaySeconds: 10 }],
  keepsOrder: true,
  applies: 'answer',
  sessions: 'none',
  normaliserVersion: 1,
  statusPage: 'https://status.example/',
  advice: [],
  sizeBands: [{ upTo: null, band: 'any', text: 'Any size.' }],
}

export interface AnswersSide extends Side {
  /** Taken with a good answer that does not mention them; nothing is done. */
  readonly silent: Set<string>
  /** So many rows of the next upload are counted as refused, without saying which. */
  unnamed: number
  /** Lists that live, and that we are not shown: as when access was taken away. */
  readonly hidden: Set<string>
  /** Somebody deletes one. */
  drop(list: string): void
  /** E-mail keys by list, of those that live. */
  lists(): ReadonlyMap<string, readonly string[]>
}

/** What the platform says of one row. */
type RowAnswer = { readonly row: number; readonly status: 200 | 400 }
type Row = readonly string[]

export function answersSide(): AnswersSide {
  const levers = new Levers()
  const lists = new Map<string, { marker: string; name: string; rows: Row[] }>()
  let made = 0
  const matching = (row: Row) => (other: Row) => row.some((value, i) => value !== '' && other[i] === value)

  const hide = (list: string) => {
    if (side.hidden.has(list)) throw new DestinationError({ kind: 'permission', code: 'permission_denied', message: 'You may not see it.' })
  }

  function upload(list: string, operation: 'add' | 'remove', rows: readonly Row[]): { answers: RowAnswer[]; refused: number } {
    hide(list)
    const far = lists.get(list)
    if (!far) throw new DestinationError({ kind: 'gone', code: 'audience_missing', message: 'No such list.' })
    const answers: RowAnswer[] = []
    const refused = side.unnamed
    side.unnamed = 0
    rows.forEach((row, i) => {
      const [email = ''] = row
      if (side.silent.has(email) || i < refused) return
      const bad = levers.refused.has(email)
      answers.push({ row: i, status: bad ? 400 : 200 })
      if (bad) return
      far.rows = far.rows.filter((other) => (operation === 'remove' ? !matching(row)(other) : other.join() !== row.join()))
      if (operation === 'add') far.rows.push(row)
    })
    return { answers, refused }
  }

  const destination: Destination<Settings> = {
    manifest,
    prepare({ identifiers: { email = '', phone = '' } }, { identifiers, defaultCountry }) {
      const set = [
        identifiers.includes('email') ? (plainEmail(email) ?? '') : '',
        identifiers.includes('phone') ? (plainPhone(phone, defaultCountry) ?? '') : '',
      ]
      return set.some(Boolean) ? { sets: [set], dropped: [], rejected: null } : { sets: [], dropped: [], rejected: 'no_usable_identifier' }
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
      levers.uploads.push({ operation, body: body.toString() })
      levers.meet(ctx, method, path)
      levers.meetUpload('burst')
      const rows = JSON.parse(body.toString()) as Row[]
      const { answers, refused } = upload(list, operation, rows)
      levers.answer()
      const said = new Map(answers.map((answer) => [answer.row, answer.status]))
      // Silence about a row is a refusal, unless the answer counts what it does not name.
      const rejections = rows.flatMap((_, row): RowRejection[] => {
        if (said.get(row) === 400) return [{ row, code: 'platform_rejected_row' }]
        return said.has(row) || refused > 0 ? [] : [{ row, code: 'platform_bad_reply' }]
      })
      return { rejections, unnamedRejections: refused, receipt: { answered: answers.length }, acceptedAt: new Date() }
    },
    settle: async () => {
      throw new Error('Nobody asks a platform that has answered.')
    },
    async findAudiences(ctx, marker) {
      levers.meet(ctx, 'GET', '/lists')
      for (const list of side.hidden) hide(list)
      return [...lists].filter(([, list]) => list.marker === marker).map(([id]) => far(id))
    },
    async createAudience(ctx, { name, marker }) {
      levers.meet(ctx, 'POST', '/lists')
      made += 1
      const id = `list-${made}`
      lists.set(id, { marker, name, rows: [] })
      return far(id)
    },
    async readAudience(ctx, id) {
      levers.meet(ctx, 'GET', `/lists/${id}`)
      return lists.has(id) && !side.hidden.has(id) ? far(id) : null
    },
    updateAudience: async () => {},
    async deleteAudience(ctx, id) {
      levers.meet(ctx, 'DELETE', `/lists/${id}`)
      hide(id)
      lists.delete(id)
    },
  }
  const far = (externalId: string) =>
    ({ externalId, name: lists.get(externalId)?.name ?? '', size: null, state: 'ready', detail: '', expiresAt: null }) as const
  const side: AnswersSide = {
    ...levers.side(),
    destination: destination as Destination,
    accountExternalId: 'portal-1',
    silent: new Set(),
    unnamed: 0,
    hidden: new Set(),
    drop: (list) => lists.delete(list),
    lists: () => new Map([...lists].map(([id, { rows }]) => [id, rows.map(([email = '']) => email).sort()])),
    pass() {},
    members: () =>
      [...lists.values()]
        .flatMap(({ rows }) => rows.map(([email = '']) => email))
        .filter(Boolean)
        .sort(),
    audiences: () => lists.size,
  }
  return side
}
