/**
 * Encryption of ledger rows and payloads. The id of the data key stands before the sealed bytes, because keys change over the
 * years that a ledger row lives. A row is bound to its audience and person, a payload to its batch (RELIABILITY.md S-9).
 */
import type { Tx } from '@audience-sync/db/database'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { aad, type Dek, open, seal } from '@audience-sync/vault/envelope'

const ID_BYTES = 16 // `dek_<uuid>` as its 16 bytes

const idBytes = (dekId: string): Buffer => Buffer.from(dekId.slice(4).replaceAll('-', ''), 'hex')
const idText = (bytes: Buffer): string => {
  const hex = bytes.toString('hex', 0, ID_BYTES)
  return `dek_${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export const heldOf = (audienceNo: number, customerNo: number) => ['held', String(audienceNo), String(customerNo)] as const
export const payloadOf = (audienceNo: number, batchNo: number) => ['payload', String(audienceNo), String(batchNo)] as const

export interface Sealer {
  /** A function that seals up to `uses` values of one tenant. Ask for it before the transaction that stores them begins. */
  sealing(tenantId: string, uses: number): Promise<(plaintext: Buffer, of: readonly string[]) => Buffer>
  opening(tx: Tx, tenantId: string): (sealed: Buffer, of: readonly string[]) => Promise<Buffer>
}

export function createSealer(deks: DekStore): Sealer {
  return {
    async sealing(tenantId, uses) {
      const dek = await deks.current(tenantId, uses)
      const id = idBytes(dek.id)
      return (plaintext, of) => Buffer.concat([id, seal(dek.key, plaintext, aad(tenantId, ...of))])
    },
    opening(tx, tenantId) {
      const known = new Map<string, Promise<Dek>>()
      return async (sealed, of) => {
        const id = idText(sealed)
        let dek = known.get(id)
        if (!dek) {
          dek = deks.byId(tx, tenantId, id)
          known.set(id, dek)
        }
        return open((await dek).key, sealed.subarray(ID_BYTES), aad(tenantId, ...of))
      }
    },
  }
}
