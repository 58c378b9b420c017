/** The twin as a process: everything from the environment, stopped by SIGINT or SIGTERM. */
import { z } from 'zod'
import { createMetaTwin } from './twin.ts'

const truth = z.stringbool().default(false)
const environment = z
  .object({
    PORT: z.coerce.number().int().default(9101),
    HOST: z.string().default('127.0.0.1'),
    PUBLIC_URL: z.url().optional(),
    META_APP_ID: z.string().default('4000000000000001'),
    META_APP_SECRET: z.string().default('twin-app-secret'),
    /** Separated by spaces; without it any loopback address. */
    META_REDIRECT_URIS: z.string().optional(),
    TWIN_APPLY_AFTER_MS: z.coerce.number().int().default(1_000),
    TWIN_REORDER: truth,
    TWIN_SEED: z.coerce.number().int().default(1),
    TWIN_TIER: z.enum(['development_access', 'standard_access']).default('standard_access'),
    TWIN_MIN_SIZE: z.coerce.number().int().default(0),
    TWIN_REQUIRE_APPSECRET_PROOF: truth,
    TWIN_JOURNAL_FILE: z.string().optional(),
  })
  .parse(process.env)

const { PUBLIC_URL, META_REDIRECT_URIS, TWIN_JOURNAL_FILE } = environment
const twin = await createMetaTwin({
  port: environment.PORT,
  host: environment.HOST,
  appId: environment.META_APP_ID,
  appSecret: environment.META_APP_SECRET,
  applyAfterMs: environment.TWIN_APPLY_AFTER_MS,
  reorder: environment.TWIN_REORDER,
  seed: environment.TWIN_SEED,
  tier: environment.TWIN_TIER,
  minSize: environment.TWIN_MIN_SIZE,
  requireAppSecretProof: environment.TWIN_REQUIRE_APPSECRET_PROOF,
  ...(PUBLIC_URL === undefined ? {} : { publicUrl: PUBLIC_URL }),
  ...(META_REDIRECT_URIS === undefined ? {} : { redirectUris: META_REDIRECT_URIS.split(' ') }),
  ...(TWIN_JOURNAL_FILE === undefined ? {} : { journalFile: TWIN_JOURNAL_FILE }),
})
process.stdout.write(`ready ${twin.url}\n`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void twin.close().then(() => process.exit(0)))
