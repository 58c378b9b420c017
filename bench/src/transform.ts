/**
 * From people to the bytes of a call to Meta, six fields: the real `prepare` and `encode`, against a loop that only hashes the
 * same fields. And phones that are E.164 already, against the library that a slow path would ask.
 */
import { createHash, hash, randomBytes } from 'node:crypto'
import { openIdentifiers, sealIdentifiers } from '@audience-sync/behavior-export/people/identifiers'
import type { Identifiers } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import type { Batch, KeySet, SendConfig } from '@audience-sync/destination-kit/contract'
import { phone } from '@audience-sync/destination-kit/normalise/phone'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { MetaSettings } from '@audience-sync/destination-meta/manifest'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'
import { perSecond, type Report } from './figures.ts'
import { personOf } from './people.ts'
import { inTurn, mustEqual, type Profile } from './rounds.ts'

const BODY = 10_000 // rows of one call
const PHONES = 10_000
const config: SendConfig<MetaSettings> = { identifiers: ['email', 'phone', 'name', 'address'], settings: MetaSettings.parse({}) }
const consent = { adUserData: 'granted', adPersonalization: 'granted', crm: 'granted', saleShareOptOut: false } as const
const session = { id: 7, seq: 1, last: true }

const { prepare, encode } = createMetaDestination({ baseUrl: 'http://127.0.0.1:9' })

function bodyOf(people: readonly Identifiers[]): Buffer {
  const rows: KeySet[] = []
  for (const [i, identifiers] of people.entries()) rows.push(...prepare({ customerId: `c_${i}`, identifiers, consent }, config).sets)
  const batch: Batch<MetaSettings> = { operation: 'add', audienceExternalId: '1', accountExternalId: '2', rows, session, config }
  return encode(batch).body
}

/** The same in the plainest way there is, sharing nothing with what is measured. */
function plainBody(people: readonly Identifiers[]): Buffer {
  const sha = (text: string) => (text === '' ? '' : createHash('sha256').update(text).digest('hex'))
  const name = (text = '') =>
    text
      .trim()
      .toLowerCase()
      .normalize('NFC')
      .replace(/[\s'.-]/g, '')
  const data = people.map(({ email = '', phone: number = '', firstName, lastName, city = '', country = '' }) => [
    sha(email.trim().toLowerCase()),
    sha(number.replace('+', '')),
    sha(name(lastName)),
    sha(name(firstName)),
    sha([...name(firstName)][0] ?? ''),
    sha(city.toLowerCase().replace(/[^a-z]/g, '')),
    '',
    '',
    sha(country.toLowerCase()),
  ])
  const schema = ['EMAIL', 'PHONE', 'LN', 'FN', 'FI', 'CT', 'ST', 'ZIP', 'COUNTRY']
  return Buffer.from(JSON.stringify({ payload: { schema, data }, session: { session_id: session.id, batch_seq: session.seq, last_batch_flag: session.last } }))
}

const fieldsOf = (people: readonly Identifiers[]) =>
  people.map(({ email = '', phone: number = '', firstName = '', lastName = '', city = '', country = '' }) => [
    email,
    number,
    firstName,
    lastName,
    city,
    country,
  ])

/** Nothing but the hashes. */
function hashAll(people: readonly (readonly string[])[]): number {
  let length = 0
  for (const fields of people) for (const field of fields) length += hash('sha256', field, 'hex').length
  return length
}

export async function run(profile: Profile): Promise<Report> {
  const rounds = profile === 'full' ? 31 : 9
  const people = Array.from({ length: BODY }, (_, i) => personOf(i + 1))
  const fields = fieldsOf(people)
  if (!bodyOf(people).equals(plainBody(people))) throw new Error('The body differs from one that is made in the plainest way.')

  const dek = { id: 'dek_00000000-0000-7000-8000-000000000000', key: randomBytes(32) }
  const sealed = people.map((identifiers, i) => sealIdentifiers(dek, 'tenant', i, identifiers))
  const vault = { byId: async () => dek } as unknown as DekStore // the data key is in memory, as it is for all but the first of a run
  const opened = () => Promise.all(sealed.map((field, i) => openIdentifiers(vault, undefined as unknown as Tx, 'tenant', i, field)))
  mustEqual('identifiers opened', (await opened())[17], people[17])

  const times = await inTurn(
    rounds,
    { bytes: () => bodyOf(people), sealedBytes: async () => bodyOf(await opened()), hashes: () => hashAll(fields) },
    5, // the compiler's warm-up
  )

  const phones = Array.from({ length: PHONES }, (_, i) => personOf(i * 7).phone ?? '')
  const byLibrary = (text: string) => parsePhoneNumberFromString(text)?.number as string | undefined
  mustEqual(
    'phones',
    phones.map((text) => phone(text)),
    phones.map(byLibrary),
  )
  const LOOPS = 20 // the fast path is over before a clock can tell
  const phoneTimes = await inTurn(
    profile === 'full' ? 9 : 5,
    {
      ours: () => {
        for (let loop = 0; loop < LOOPS; loop += 1) for (const text of phones) phone(text)
      },
      library: () => {
        for (const text of phones) byLibrary(text)
      },
    },
    3,
  )
  return {
    name: 'transform',
    title: 'six fields of a user to the bytes of a call to Meta, against bare hashing',
    conditions: { profile, users: BODY, 'body bytes': bodyOf(people).length, rounds, fields: 'email, phone, first and last name, city, country' },
    figures: [
      {
        sides: [
          perSecond('prepare + encode', BODY, times.bytes, 'k users/s'),
          perSecond('crypto.hash of the same six fields', BODY, times.hashes, 'k users/s'),
        ],
        ratio: { what: 'speed against bare hashing', value: times.hashes.median / times.bytes.median },
        goal: { no: 3, is: 'at least', base: 0.55, stretch: 1.3 },
      },
      {
        sides: [perSecond('with opening the sealed identifiers (AES-256-GCM, JSON)', BODY, times.sealedBytes, 'k users/s')],
        ratio: { what: 'speed against bare hashing, with decryption (ceiling about 0.33)', value: times.hashes.median / times.sealedBytes.median },
      },
      {
        sides: [
          perSecond('phone already E.164, ours', PHONES * LOOPS, phoneTimes.ours),
          perSecond('the same by libphonenumber-js', PHONES, phoneTimes.library),
        ],
        ratio: { what: 'speed against the library', value: (phoneTimes.library.median * LOOPS) / phoneTimes.ours.median },
        goal: { no: 4, is: 'at least', base: 30, stretch: 80 },
      },
    ],
  }
}
