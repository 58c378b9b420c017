/**
 * The keys of one installation for development: made once, kept by whoever asked. Production's come from its own key store;
 * there every key has an owner and a successor, here they only have to be of the right shape.
 */
import { randomBytes } from 'node:crypto'
import { generateServiceKey } from '@audience-sync/service/tokens'

export const SERVICES = ['gateway', 'connections', 'behavior-export', 'audiences', 'scheduler', 'webhooks', 'connector-meta'] as const
export type ServiceName = (typeof SERVICES)[number]
type Jwk = Awaited<ReturnType<typeof generateServiceKey>>['privateJwk']

/** Whoever loses these loses the data. */
export interface Keys {
  readonly adminKey: string
  readonly keks: { readonly connections: string; readonly behaviorExport: string; readonly sync: string; readonly webhooks: string }
  readonly deadLetterKey: string
  readonly metaAppSecret: string
  readonly servicePrivateJwks: Readonly<Record<ServiceName, Jwk>>
  readonly serviceJwks: { readonly keys: readonly Jwk[] }
  /** For a server that is not ours: its roles get passwords. */
  readonly rolePassword: string
}

const kek = () => `kek_dev:${randomBytes(32).toString('base64url')}`

export async function makeKeys(): Promise<Keys> {
  const pairs = await Promise.all(SERVICES.map(async (name) => ({ name, ...(await generateServiceKey(name)) })))
  return {
    adminKey: `demo-${randomBytes(24).toString('base64url')}`,
    keks: { connections: kek(), behaviorExport: kek(), sync: kek(), webhooks: kek() },
    deadLetterKey: randomBytes(32).toString('base64url'),
    metaAppSecret: randomBytes(16).toString('hex'),
    servicePrivateJwks: Object.fromEntries(pairs.map(({ name, privateJwk }) => [name, privateJwk])) as Record<ServiceName, Jwk>,
    serviceJwks: { keys: pairs.map(({ publicJwk }) => publicJwk) },
    rolePassword: randomBytes(18).toString('base64url'),
  }
}

/** Keys of an older version, with those that have been added since. What is there stays as it is. */
export async function completed(stored: Keys): Promise<Keys> {
  const made = await makeKeys()
  const missing = SERVICES.filter((name) => !stored.servicePrivateJwks[name]).map((name) => made.servicePrivateJwks[name].kid)
  return {
    ...made,
    ...stored,
    keks: { ...made.keks, ...stored.keks },
    servicePrivateJwks: { ...made.servicePrivateJwks, ...stored.servicePrivateJwks },
    serviceJwks: { keys: [...stored.serviceJwks.keys, ...made.serviceJwks.keys.filter(({ kid }) => missing.includes(kid))] },
  }
}
