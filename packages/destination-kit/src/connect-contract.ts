/** How a tenant lets us speak for them at a destination: what the connections service needs of each platform. */
import type { DestinationError } from './contract.ts'

export interface AuthorizeOptions {
  readonly state: string
  readonly redirectUri: string
}

/** What a code, or a refresh, was exchanged for. Secret: goes straight into the vault. */
export interface Credential {
  readonly accessToken: string
  readonly refreshToken: string | null
  /** null: does not expire. */
  readonly expiresAt: Date | null
  /** When to renew; null: never. Meta: from day 45 of 60 (vendors/meta.md §3.3). */
  readonly renewAt: Date | null
  readonly kind: string
}

/** What the platform itself says of a credential. */
export interface CredentialCheck {
  readonly valid: boolean
  readonly subject: string | null
  readonly grantedScopes: readonly string[]
  readonly missingScopes: readonly string[]
  readonly expiresAt: Date | null
}

export interface FarAccount {
  readonly externalId: string
  readonly name: string
  readonly status: 'active' | 'disabled' | 'pending' | 'closed'
  readonly statusDetail: string
  readonly currency: string | null
  readonly timeZone: string | null
  readonly business: { readonly id: string; readonly name: string } | null
  readonly termsSigned: boolean
  readonly termsUrl: string | null
  readonly canManageAudiences: boolean
}

/** Every function throws `DestinationError` with the failure's kind. */
export interface ConnectAdapter {
  readonly destination: string
  /** Scopes without which the main job cannot be done. */
  readonly requiredScopes: readonly string[]
  authorizeUrl(options: AuthorizeOptions): string
  exchange(code: string, redirectUri: string): Promise<Credential>
  /** A fresh credential for one that still lives; null where the platform has no such thing and the user must connect again. */
  renew(credential: Pick<Credential, 'accessToken' | 'refreshToken'>): Promise<Credential | null>
  check(accessToken: string): Promise<CredentialCheck>
  accounts(accessToken: string): Promise<readonly FarAccount[]>
  revoke(accessToken: string): Promise<void>
  /** What goes beside the token on each call (Meta: appsecret_proof); undefined where nothing does. */
  proof(accessToken: string): string | undefined
}

export type { DestinationError }
