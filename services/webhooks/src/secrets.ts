/** Signing secrets in and out of the vault: each opens for its own tenant and endpoint only (RELIABILITY.md §3.1). */
import type { Tx } from '@audience-sync/db/database'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { aad, dekIdOf, openText, sealText } from '@audience-sync/vault/envelope'

export interface Secrets {
  /** Before the transaction that stores it: the data key is made in one of its own. */
  sealer(tenantId: string): Promise<(endpointId: string, secret: string) => string>
  /** `tx` must be one of that tenant. */
  open(tx: Tx, tenantId: string, endpointId: string, sealed: string): Promise<string>
}

const place = (tenantId: string, endpointId: string, dekId: string) => aad('webhook', tenantId, endpointId, 'secret', dekId)

export const createSecrets = (deks: DekStore): Secrets => ({
  async sealer(tenantId) {
    const dek = await deks.current(tenantId)
    return (endpointId, secret) => sealText(dek, secret, place(tenantId, endpointId, dek.id))
  },
  async open(tx, tenantId, endpointId, sealed) {
    const dek = await deks.byId(tx, tenantId, dekIdOf(sealed))
    return openText(dek, sealed, place(tenantId, endpointId, dek.id))
  },
})
