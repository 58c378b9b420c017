/** How a tenant lets us speak for them at a destination: what the connections service needs of each platform. */
export interface AuthorizeOptions {
  readonly state: string
  readonly redirectUri: string
  /** One of the adapter's `logins`; missing: the first. */
  readonly login?: string | undefined
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
  /** From here on the platform shows nothing until the person has consented again, however often the token was renewed; null: it names no date. */
  readonly accessEndsAt: Date | null
  /** The business that a system user's token speaks for. */
  readonly businessId: string | null
}

/** What a platform tells us of a person, signed: they took the access back, or want to be forgotten. */
export interface Notice {
  /** The platform's id of who consented. */
  readonly subject: string
  /** null where the platform does not say. */
  readonly issuedAt: Date | null
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
  /** By the person who connected, where the platform wants their signature as well; null: it does not, or does not say. */
  readonly userTermsSigned: boolean | null
  readonly termsUrl: string | null
  readonly canManageAudiences: boolean
}

/** Every function throws `DestinationError` (`failure.ts`) with the failure's kind. */
export interface ConnectAdapter {
  readonly destination: string
  /** Scopes without which the main job cannot be done. */
  readonly requiredScopes: readonly string[]
  /** Dialogs that a user may be sent to, the usual one first; missing: there is one. */
  readonly logins?: readonly string[]
  authorizeUrl(options: AuthorizeOptions): string
  exchange(code: string, redirectUri: string): Promise<Credential>
  /** A fresh credential for one that still lives; null where the platform has no such thing and the user must connect again. */
  renew(credential: Pick<Credential, 'accessToken' | 'refreshToken'>): Promise<Credential | null>
  check(accessToken: string): Promise<CredentialCheck>
  accounts(accessToken: string): Promise<readonly FarAccount[]>
  revoke(accessToken: string): Promise<void>
  /** What goes beside the token on each call (Meta: appsecret_proof); undefined where nothing does. */
  proof(accessToken: string): string | undefined
  /** Reads a signed notice from a form's fields; null where the signature is not the platform's. Missing: the platform sends none. */
  notice?(form: Readonly<Record<string, string>>): Notice | null
}
