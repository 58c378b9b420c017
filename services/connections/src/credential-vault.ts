/**
 * Tokens in and out of the vault. A sealed token opens only for its own tenant, connection and field (RELIABILITY.md §3.1),
 * so a row copied elsewhere is worthless, also to us.
 */
import type { Tx } from '@audience-sync/db/database'
import type { Credential } from '@audience-sync/destination-kit/connect-contract'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { aad, dekIdOf, openText, sealText } from '@audience-sync/vault/envelope'

export interface SealedTokens {
  readonly accessToken: string
  readonly refreshToken: string | null
}

export interface CredentialVault {
  /**
   * Fetches the tenant's key and answers with a sealer that cannot fail. Called before a token is asked of a platform:
   * a token that was received and cannot be stored is a lost connection.
   */
  sealer(tenantId: string): Promise<(connectionId: string, credential: Pick<Credential, 'accessToken' | 'refreshToken'>) => SealedTokens>
  /** `tx` must be one of that tenant. Throws `VaultError` rather than answer with anything that was not sealed for this place. */
  open(tx: Tx, row: { readonly tenantId: string; readonly connectionId: string } & SealedTokens): Promise<Pick<Credential, 'accessToken' | 'refreshToken'>>
}

type Field = 'access_token' | 'refresh_token'
const place = (tenantId: string, connectionId: string, field: Field, dekId: string) => aad('cred', tenantId, connectionId, field, dekId)

export function createCredentialVault(deks: DekStore): CredentialVault {
  async function openOne(tx: Tx, tenantId: string, connectionId: string, field: Field, text: string): Promise<string> {
    const dek = await deks.byId(tx, tenantId, dekIdOf(text))
    return openText(dek, text, place(tenantId, connectionId, field, dek.id))
  }

  return {
    async sealer(tenantId) {
      const dek = await deks.current(tenantId, 2)
      return (connectionId, { accessToken, refreshToken }) => ({
        accessToken: sealText(dek, accessToken, place(tenantId, connectionId, 'access_token', dek.id)),
        refreshToken: refreshToken === null ? null : sealText(dek, refreshToken, place(tenantId, connectionId, 'refresh_token', dek.id)),
      })
    },
    async open(tx, { tenantId, connectionId, accessToken, refreshToken }) {
      return {
        accessToken: await openOne(tx, tenantId, connectionId, 'access_token', accessToken),
        refreshToken: refreshToken === null ? null : await openOne(tx, tenantId, connectionId, 'refresh_token', refreshToken),
      }
    },
  }
}
