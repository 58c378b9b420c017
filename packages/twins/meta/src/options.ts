/** What a twin can be told. Everything has a default except the app, which its user must know. */
export type Tier = 'development_access' | 'standard_access'

/** One seeded ad account; see `DEMO_ACCOUNTS` in accounts.ts for those that are there without being asked for. */
export type AccountSeed = {
  /** Digits, without `act_`. */
  id: string
  name: string
  /** `account_status`: 1 active, 2 disabled, 3 unsettled, 7 risk review, 9 grace, 101 closed (vendors/meta.md §3.5). */
  status?: number
  /** Out of MANAGE, ADVERTISE, ANALYZE, DRAFT, AA_ANALYZE; none: the account is invisible to everyone. */
  tasks?: readonly string[]
  /** Whether the Custom Audience terms are signed; unsigned 200/1870034. */
  terms?: boolean
  /** Whether the person who connected is among those who signed; if not, 2663 for that person, while system users work (§3.5). */
  userTerms?: boolean
  /** Whether the business that owns the account signed. If not, 2664 although `tos_accepted` says yes: it reports another business's (§3.5). */
  businessTerms?: boolean
  tier?: Tier
  currency?: string
  timezoneName?: string
  /** null: in no business portfolio, where `usersofanyaudience` is ignored without an error (§4.4). */
  business?: { id: string; name: string } | null
  /** Customer lists that the account may have; the platform's 500 unless a test wants fewer (§1). */
  audienceLimit?: number
  /** The vendor says 500 and 10,000 (§1): the smaller one. */
  lookalikeLimit?: number
  /** Share of the allowed CPU and wall time that is used, for `X-Business-Use-Case-Usage`; 100 and more is throttled (§1.1). */
  cpuPercent?: number
  timePercent?: number
}

/** A Facebook Login for Business configuration (§3.1, §3.3). */
export type LoginConfiguration = { scopes: readonly string[]; token: 'system_user' | 'user'; tokenLifeMs?: number }

export type LimitOptions = {
  /** Points of the API-level score per ad account before it is blocked. */
  score: number
  /** For how long a block lasts, counted anew by each call made during it. */
  blockMs: number
  /** Calls on audiences per ad account and hour, before 40 for each active audience are added. */
  audienceCallsPerHour: number
  /** Login calls per hour of the whole app: 200 for each daily user. */
  appCallsPerHour: number
}

export type MetaTwinOptions = {
  appId: string
  appSecret: string
  /** 0 takes any free port. Default 9101. */
  port?: number
  host?: string
  /** How the twin is reached from outside, for paging links. Default: where it listens. */
  publicUrl?: string
  /** Exact redirect URIs; without them any loopback address is allowed. */
  redirectUris?: readonly string[]
  configurations?: Readonly<Record<string, LoginConfiguration>>
  accounts?: readonly AccountSeed[]
  /** Tier of accounts that name none. Default `standard_access`, so that a demo is not throttled. */
  tier?: Tier
  /** Takes the place of the tier's figures (vendors/meta.md §1.1), for tests. */
  limits?: Partial<LimitOptions>
  /** After how long accepted uploads show, on the twin's clock. Default 1 s; the platform takes "usually up to 24 hours". */
  applyAfterMs?: number
  /** Applies accepted calls in any order: each after 1 to 10 times `applyAfterMs`, by `seed`. */
  reorder?: boolean
  /** For how long `/users` answers 803 after a creation. Default 0. */
  readyAfterMs?: number
  /** For how long after the last batch was applied its session still says `uploading` and -1 matched. Default 10 min. */
  sessionLagMs?: number
  /** Removals that would leave fewer people are refused with 200/1870047. Default 0, off: the vendor names no figure. */
  minSize?: number
  /** The share of rows that find a person; sizes and `num_matched` come from it. Default 0.8. */
  matchRate?: number
  requireAppSecretProof?: boolean
  /** Marketing versions that this app may call. Default v26.0 alone: a new app cannot use older ones (§0). */
  versions?: readonly string[]
  /** Versions past their end: upgraded, with `X-Ad-Api-Version-Warning`, where the endpoint did not change. Default none. */
  expiredVersions?: readonly string[]
  seed?: number
  /** Journal entries are also appended here as NDJSON, in full. */
  journalFile?: string
  /** Bytes of request bodies that the journal keeps in memory; the oldest are replaced by a digest. Default 64 MiB. */
  journalBodyBytes?: number
}

export type Settings = Required<Omit<MetaTwinOptions, 'redirectUris' | 'publicUrl' | 'journalFile' | 'limits' | 'accounts'>> &
  Pick<MetaTwinOptions, 'redirectUris' | 'publicUrl' | 'journalFile' | 'limits' | 'accounts'>

export const withDefaults = (options: MetaTwinOptions): Settings => ({
  port: 9101,
  host: '127.0.0.1',
  configurations: { '1000000000000100': { scopes: ['ads_management', 'ads_read', 'business_management'], token: 'system_user' } },
  tier: 'standard_access',
  applyAfterMs: 1_000,
  reorder: false,
  readyAfterMs: 0,
  sessionLagMs: 600_000,
  minSize: 0,
  matchRate: 0.8,
  requireAppSecretProof: false,
  versions: ['v26.0'],
  expiredVersions: [],
  seed: 1,
  journalBodyBytes: 64 * 1024 * 1024,
  ...options,
})
