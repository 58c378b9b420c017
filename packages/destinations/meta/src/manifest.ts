/** What Meta takes, as data. Facts and their sources: vendors/meta.md §1, §4. */
import type { KeyDefinition, Manifest, QuotaDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { z } from 'zod'
import { audienceId } from './adopt.ts'
import { audiencesPerAccount } from './audience-limit.ts'
import { audienceRules } from './audience-rules.ts'
import { platformCodes } from './error-table.ts'
import { troubleshooting } from './troubleshooting.ts'
import { versionLife } from './versions.ts'

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
  labels: z
    .array(z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/))
    .max(20)
    .optional()
    .describe('What kind of customers they are, in Meta’s words (GENERAL_CUSTOMERS, …). Meta changes the list; what it does not know is left out.'),
  optOutLink: z
    .url({ protocol: /^https$/ })
    .optional()
    .describe('Where people of the audience can opt out.'),
  useForProducts: z
    .array(z.enum(['ADS', 'MARKETING_MESSAGES']))
    .min(1)
    .optional()
    .describe('What the audience may be used for. Unset: what Meta allows.'),
  fullRefresh: z
    .enum(['auto', 'replace', 'add_and_remove'])
    .optional()
    .describe('How a full refresh is said: by a new list where much of it has changed (`auto`, the default), always by a new list, or never.'),
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

/** The business use case `custom_audience`: calls in an hour, 40 more for each active audience. */
const customAudience: QuotaDefinition = {
  id: 'custom_audience',
  scope: 'account',
  cost: { read: 1, write: 1 },
  capacity: { '': 5_000, development_access: 5_000, standard_access: 190_000 },
  decaySeconds: 3_600,
  perAudience: { points: 40, most: 700_000 },
}

/** In percent, and by Meta's word alone: how many ads an account has, or how many users the app, nobody tells us. Both are of an hour. */
const told = (id: string, scope: QuotaDefinition['scope']): QuotaDefinition => ({
  id,
  scope,
  cost: { read: 0, write: 0 },
  capacity: { '': 100 },
  decaySeconds: 3_600,
})

const identifiers = ['email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId', 'externalId'] as const

/** For so long Meta knows whose an EXTERN_ID is (vendors/meta.md §1): a removal by it alone finds nobody afterwards. */
const EXTERN_ID_DAYS = 90

const nameAdvice = [
  { text: 'Include the behavior’s name', example: '[Behavior] - {behavior} - {quarter}' },
  { text: 'Add a date or version', example: 'Custom - {behavior} - {date}' },
  { text: 'Specify the purpose', example: '{purpose} - {behavior}' },
]

/** Meta scans name and description for hints at health and financial status (vendors/meta.md §4.1); its own list is not published. */
const flaggedWords = [
  {
    topic: 'health',
    words:
      'addiction|allergy|cancer|depression|diabetes|diabetic|disability|disease|disorder|hiv|illness|medical condition|medication|mental health|obese|obesity|overweight|patient|pregnancy|pregnant|therapy|weight loss'.split(
        '|',
      ),
  },
  {
    topic: 'financial status',
    words:
      'bad credit|bankrupt|bankruptcy|credit rating|credit score|debt|high income|insolvent|loan|low income|mortgage|net worth|payday|salary|unemployed|wealthy'.split(
        '|',
      ),
  },
]

export const metaManifest = (apiVersion: string): Manifest<MetaSettings> => ({
  id: 'meta',
  title: 'Meta Custom Audiences',
  apiVersion,
  origin: 'https://graph.facebook.com',
  settings: MetaSettings,
  keys,
  identifiers,
  purpose: (settings) => (settings.limitedDataUse ? 'ads_ldu' : 'ads'),
  sends: (settings) => ({ value: settings.valueBased, consent: settings.limitedDataUse }),
  limits: {
    rowsPerCall: 10_000,
    // Meta publishes no length for name and description; these are ours, and what its screens still show in full.
    nameLength: 200,
    descriptionLength: 500,
    audiencesPerAccount,
  },
  audienceId,
  minimumSize: 100,
  quotas: [apiScore, customAudience, told('ads_management', 'account'), told('app', 'installation')],
  keepsOrder: false,
  applies: 'settle',
  // A third of the time is left for whatever keeps a run from ending.
  renewAfterDays: ({ retentionDays }, identifiers) => {
    const days = Math.min(retentionDays ?? Number.POSITIVE_INFINITY, identifiers.includes('externalId') ? EXTERN_ID_DAYS : Number.POSITIVE_INFINITY)
    return Number.isFinite(days) ? Math.floor((days * 2) / 3) : null
  },
  sessions: 'run',
  normaliserVersion: 1,
  statusPage: 'https://metastatus.com/',
  advice: [
    { title: 'Daily sync', text: 'For behaviors that change quickly, such as "Recent Browsers" or "Cart Abandoners".' },
    { title: 'Weekly sync', text: 'For stable segments, such as "Loyal Regulars" or lifestyle-based behaviors.' },
    { title: 'Manual sync', text: 'For one-time campaigns, or when you want full control over updates.' },
    {
      title: 'Names',
      text: 'Include the behavior, a date or version, and the purpose. Meta flags names that hint at health or money.',
    },
    { title: 'Patience', text: 'Meta usually shows a change within 24 hours, later after many removals.' },
  ],
  sizeBands: [
    { upTo: 999, band: 'too_small', text: 'Limited reach: consider combining related behaviors, or using lookalikes.', limitedReach: true },
    { upTo: 50_000, band: 'ideal', text: 'A good size for targeted campaigns with good reach.' },
    { upTo: null, band: 'large', text: 'Consider splitting into more specific behaviors for better targeting.' },
  ],
  presets: [
    { id: 'email', title: 'E-mail only', text: 'Fastest, and good match rates.', identifiers: ['email'] },
    { id: 'email_phone', title: 'E-mail and phone', text: 'Higher match rates, for customers who are mobile first.', identifiers: ['email', 'phone'] },
    { id: 'email_phone_address', title: 'E-mail, phone and address', text: 'Highest match rates.', identifiers: ['email', 'phone', 'address'] },
    {
      id: 'email_name_address',
      title: 'E-mail, name and postal code',
      text: 'Enhanced matching where phone numbers are few.',
      identifiers: ['email', 'name', 'address'],
    },
    { id: 'all', title: 'All that Meta takes', text: 'Every identifier of the customer leaves, hashed where Meta takes it hashed.', identifiers },
  ],
  names: { advice: nameAdvice, flagged: flaggedWords },
  memberDays: ({ retentionDays }) => retentionDays ?? null,
  ...audienceRules,
  versionLife: (now) => versionLife(apiVersion, now),
  platformCodes: platformCodes(),
  troubleshooting,
})
