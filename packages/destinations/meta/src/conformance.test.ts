import { conformance } from '@audience-sync/destination-kit/conformance'
import type { SendConfig } from '@audience-sync/destination-kit/contract'
import { createMetaDestination } from './destination.ts'
import { type MetaSettings, MetaSettings as schema } from './manifest.ts'

const destination = createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http: { request: () => Promise.reject(new Error('pure')) } })

const config = (identifiers: SendConfig['identifiers'], settings: object = {}, defaultCountry?: string): SendConfig<MetaSettings> => ({
  identifiers,
  settings: schema.parse(settings),
  defaultCountry,
})

conformance(destination, {
  configs: [
    config(['email', 'phone']),
    config(['email', 'phone', 'externalId'], {}, 'DE'),
    config(destination.manifest.identifiers, { valueBased: true, limitedDataUse: true, retentionDays: 30 }, 'US'),
  ],
})
