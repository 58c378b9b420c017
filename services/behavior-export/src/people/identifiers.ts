/** A customer's identifiers at rest: JSON, sealed under the tenant's data key and bound to tenant and customer (RELIABILITY.md §3.1). */
import type { Identifiers } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { aad, type Dek, open, seal } from '@audience-sync/vault/envelope'
import { parse, stringify } from 'uuid'

const DEK_PREFIX = 'dek_'
const ID_BYTES = 16

const place = (tenantId: string, customerNo: number, dekId: string) => aad('cust', tenantId, String(customerNo), dekId)

/** The key's UUID in 16 bytes, then the sealed value. */
export function sealIdentifiers(dek: Dek, tenantId: string, customerNo: number, identifiers: Identifiers): Buffer {
  const sealed = seal(dek.key, Buffer.from(JSON.stringify(identifiers)), place(tenantId, customerNo, dek.id))
  return Buffer.concat([parse(dek.id.slice(DEK_PREFIX.length)), sealed])
}

/** @throws VaultError when the row was moved or altered, or its key destroyed. */
export async function openIdentifiers(vault: DekStore, tx: Tx, tenantId: string, customerNo: number, field: Buffer): Promise<Identifiers> {
  const dek = await vault.byId(tx, tenantId, DEK_PREFIX + stringify(field.subarray(0, ID_BYTES)))
  return JSON.parse(open(dek.key, field.subarray(ID_BYTES), place(tenantId, customerNo, dek.id)).toString('utf8')) as Identifiers
}
