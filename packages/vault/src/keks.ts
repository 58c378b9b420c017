/**
 * Key-encryption keys: they come from a file, a Secret or a KMS, never from the database, and only ever wrap data keys.
 * Each service that encrypts has its own.
 */
import { aad, type Dek, KEY_BYTES, openText, sealText, VaultError } from './envelope.ts'

export interface Keks {
  readonly current: Dek
  /** The current one and those that still unwrap what was not rewrapped yet. */
  find(id: string): Dek | undefined
}

/**
 * Reads `kek_2026b:<32 bytes, base64url>,kek_2026a:<…>`: the first wraps, the others only unwrap.
 * Throws when there is none or one is malformed, so that a service without its key does not start.
 */
export function parseKeks(text: string | undefined): Keks {
  const keys = (text ?? '')
    .split(',')
    .filter((entry) => entry.trim() !== '')
    .map((entry) => {
      const [id = '', encoded = ''] = entry.trim().split(':')
      const key = Buffer.from(encoded, 'base64url')
      if (!/^kek_[A-Za-z0-9-]{1,64}$/.test(id) || key.length !== KEY_BYTES)
        throw new VaultError(`A key-encryption key is malformed: write kek_<name>:<${KEY_BYTES} bytes in base64url>.`)
      return { id, key }
    })
  const [current] = keys
  if (!current) throw new VaultError('There is no key-encryption key. Without one nothing may be stored, so this service does not start.')
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) throw new VaultError('Two key-encryption keys have the same id.')
  return { current, find: (id) => keys.find((kek) => kek.id === id) }
}

const associated = (tenantId: string, dekId: string, kekId: string) => aad('dek', tenantId, dekId, kekId)

/** A data key as it is stored. */
export const wrap = (kek: Dek, tenantId: string, dek: Dek): string => sealText(kek, dek.key.toString('base64url'), associated(tenantId, dek.id, kek.id))

export function unwrap(keks: Keks, kekId: string, tenantId: string, dekId: string, wrapped: string): Dek {
  const kek = keks.find(kekId)
  if (!kek) throw new VaultError(`The key-encryption key ${kekId} is not configured.`)
  const key = Buffer.from(openText(kek, wrapped, associated(tenantId, dekId, kekId)), 'base64url')
  if (key.length !== KEY_BYTES) throw new VaultError('An unwrapped data key has the wrong length.')
  return { id: dekId, key }
}
