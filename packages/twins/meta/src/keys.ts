/** The identifier keys of an upload and the form of each value: vendors/meta.md §4.3. */
import type { Cell } from './members.ts'

const HASHED = ['EMAIL', 'PHONE', 'GEN', 'DOBY', 'DOBM', 'DOBD', 'LN', 'FN', 'FI', 'CT', 'ST', 'ZIP', 'COUNTRY'] as const
const SHA256_HEX = /^[0-9a-f]{64}$/
/** What hashing "nothing" gives; an unknown value is `""`, never this. */
const SHA256_OF_EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const MADID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Why a value makes its row invalid, or undefined if it is good. */
type Check = (value: Cell) => string | undefined

const unless =
  (good: (value: Cell) => boolean, reason: string): Check =>
  (value) =>
    good(value) ? undefined : reason
const orUnknown =
  (check: Check): Check =>
  (value) =>
    value === '' ? undefined : check(value)
const digitsOnly = (value: Cell) => /^\d+$/.test(String(value))
const among = (values: readonly (string | number)[]) => (value: Cell) => values.includes(value as string | number)

const CHECKS: Readonly<Record<string, Check>> = {
  ...Object.fromEntries(
    HASHED.map((key) => [
      key,
      orUnknown(unless((value) => typeof value === 'string' && SHA256_HEX.test(value) && value !== SHA256_OF_EMPTY, `invalid hash in ${key}`)),
    ]),
  ),
  MADID: orUnknown(unless((value) => typeof value === 'string' && MADID.test(value), 'invalid mobile advertiser id')),
  EXTERN_ID: unless((value) => typeof value === 'string' && value !== '', 'empty external ID'),
  PAGEUID: orUnknown(unless(digitsOnly, 'invalid page scoped id')),
  APPUID: orUnknown(unless(digitsOnly, 'invalid app scoped id')),
  LOOKALIKE_VALUE: unless((value) => typeof value === 'number' && value >= 0, 'invalid lookalike value'),
  DATA_PROCESSING_OPTIONS: unless(
    (value) => Array.isArray(value) && (value.length === 0 || (value.length === 1 && value[0] === 'LDU')),
    'invalid data processing options',
  ),
  DATA_PROCESSING_OPTIONS_COUNTRY: orUnknown(unless(among([0, 1]), 'invalid data processing country')),
  DATA_PROCESSING_OPTIONS_STATE: orUnknown(unless(among([0, 1000]), 'invalid data processing state')),
}

/** What a list is made from; one audience keeps one kind, the rest clashes with 2650. */
export type DataSource = 'MULTI_HASHES' | 'HASHES_OR_USER_IDS' | 'MOBILE_ADVERTISER_IDS'

/** Single keys given as a string instead of a list: what they mean and which kind of source they fix. */
export const SINGLE_KEYS: Readonly<Record<string, { key: string; source: DataSource }>> = {
  EMAIL_SHA256: { key: 'EMAIL', source: 'HASHES_OR_USER_IDS' },
  PHONE_SHA256: { key: 'PHONE', source: 'HASHES_OR_USER_IDS' },
  MOBILE_ADVERTISER_ID: { key: 'MADID', source: 'MOBILE_ADVERTISER_IDS' },
}

export const isKey = (name: unknown): name is string => typeof name === 'string' && Object.hasOwn(CHECKS, name)
/** Names a person or helps to find one; the others only say something about the row. */
export const identifies = (key: string): boolean => key !== 'LOOKALIKE_VALUE' && !key.startsWith('DATA_PROCESSING')
export const invalidity = (key: string, value: Cell): string | undefined => CHECKS[key]?.(value)
