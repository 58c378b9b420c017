/** What Meta takes, as data. Facts and their sources: vendors/meta.md §1, §4. */
import type { KeyDefinition, Manifest, QuotaDefinition } from '@audience-sync/destination-kit/contract'
import { z } from 'zod'

/** Newest on 2026-11-23; Marketing API versions live 11 to 13 months (vendors/meta.md §0). */
export const currentVersion = 'v26.0'

export const MetaSettings = z.strictObject({
  customerFileSource: z
    .enum(['USER_PROVIDED_ONLY', 'PARTNER_PROVIDED_ONLY', 'BOTH_USER_AND_PARTNER_PROVIDED'])
    .default('USER_PROVIDED_ONLY')
    .describe('Who collected the data from the people: you, a partner, or both. Meta requires it.'),
  retentionDays: z.int().min(1).max(180).optional().describe('Days after which Meta forgets a member who was not added again. Unset: never.'),
  valueBased: z.boolean().default(false).describe('Send each customer’s value, for value-based lookalikes. Cannot be changed once the audience exists.'),
  limitedDataUse: z
    .boolean()
    .default(false)
    .describe('Send customers who opted out of sale and sharing, flagged for Limited Data Use, in place of leaving them out.'),
})
export type MetaSettings = z.infer<typeof MetaSettings>

const digest = (name: string, matchesAlone = false): KeyDefinition => ({ name, form: 'sha256', matchesAlone })
const text = (name: string, matchesAlone = false): KeyDefinition => ({ name, form: 'text', matchesAlone })

/** In the vendor's order (reference/custom-audience/users). The ledger stores values by position: only ever add at the end. */
export const keys = [
  text('EXTERN_ID', true),
  digest('EMAIL', true),
  digest('PHONE', true),
  digest('GEN'),
  digest('DOBY'),
  digest('DOBM'),
  digest('DOBD'),
  digest('LN'),
  digest('FN'),
  digest('FI'),
  digest('CT'),
  digest('ST'),
  digest('ZIP'),
  digest('COUNTRY'),
  text('MADID', true),
  text('LOOKALIKE_VALUE'),
  text('DATA_PROCESSING_OPTIONS'),
  text('DATA_PROCESSING_OPTIONS_COUNTRY'),
  text('DATA_PROCESSING_OPTIONS_STATE'),
] as const satisfies readonly KeyDefinition[]

/** Positions in a key set. */
export const at = {
  EXTERN_ID: 0,
  EMAIL: 1,
  PHONE: 2,
  GEN: 3,
  DOBY: 4,
  DOBM: 5,
  DOBD: 6,
  LN: 7,
  FN: 8,
  FI: 9,
  CT: 10,
  ST: 11,
  ZIP: 12,
  COUNTRY: 13,
  MADID: 14,
  LOOKALIKE_VALUE: 15,
  DATA_PROCESSING_OPTIONS: 16,
  DATA_PROCESSING_OPTIONS_COUNTRY: 17,
  DATA_PROCESSING_OPTIONS_STATE: 18,
} as const

/** Every write of the API-level score costs three reads. At a tier that nobody named the smaller one holds. */
const apiScore: QuotaDefinition = {
  id: 'api_score',
  scope: 'account',
  cost: { read: 1, write: 3 },
  capacity: { '': 60, development_access: 60, standard_access: 9_000 },
  decaySeconds: 300,
}

/** The business use case `custom_audience`; each active audience adds 40 calls, which we leave as a reserve. */
const customAudience: QuotaDefinition = {
  id: 'custom_audience',
  scope: 'account',
  cost: { read: 1, write: 1 },
  capacity: { '': 5_000, development_access: 5_000, standard_access: 190_000 },
  decaySeconds: 3_600,
}

export const metaManifest = (apiVersion: string): Manifest<MetaSettings> => ({
  id: 'meta',
  title: 'Meta Custom Audiences',
  apiVersion,
  origin: 'https://graph.facebook.com',
  settings: MetaSettings,
  keys,
  identifiers: ['email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId', 'externalId'],
  purpose: (settings) => (settings.limitedDataUse ? 'ads_ldu' : 'ads'),
  sends: (settings) => ({ value: settings.valueBased, consent: settings.limitedDataUse }),
  limits: {
    rowsPerCall: 10_000,
    // Meta publishes no length for name and description; these are ours, and what its screens still show in full.
    nameLength: 200,
    descriptionLength: 500,
    audiencesPerAccount: 500,
  },
  minimumSize: 100,
  quotas: [apiScore, customAudience],
  keepsOrder: false,
  applies: 'settle',
  sessions: 'run',
  normaliserVersion: 1,
  statusPage: 'https://metastatus.com/',
  advice: [
    { title: 'Daily sync', text: 'For behaviors that change quickly, such as "Recent Browsers" or "Cart Abandoners".' },
    { title: 'Weekly sync', text: 'For stable segments, such as "Loyal Regulars" or lifestyle-based behaviors.' },
    { title: 'Manual sync', text: 'For one-time campaigns, or when you want full control over updates.' },
    {
      title: 'Names',
      text: 'Include the behavior, a date or version, and the purpose: "Retargeting - Recent Browsers". Meta flags names that hint at health or money.',
    },
    { title: 'Patience', text: 'Meta usually shows a change within 24 hours, later after many removals.' },
  ],
  sizeBands: [
    { upTo: 999, band: 'too_small', text: 'Consider combining related behaviors, or using lookalikes.' },
    { upTo: 50_000, band: 'ideal', text: 'A good size for targeted campaigns with good reach.' },
    { upTo: null, band: 'large', text: 'Consider splitting into more specific behaviors for better targeting.' },
  ],
})
