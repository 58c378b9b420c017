/** The destinations that this installation can connect to. A new one is one entry here and its variables in `config.ts`. */
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import { createMetaConnect } from '@audience-sync/destination-meta/connect'
import { currentVersion, zApiVersion } from '@audience-sync/destination-meta/versions'
import type { Logger } from '@audience-sync/service/log'
import type { Config } from './config.ts'

/** Of the configuration: a version that has ended is refused. */
export const metaApiVersion = zApiVersion.default(currentVersion)

export function destinationAdapters(config: Config, log: Logger): ReadonlyMap<string, ConnectAdapter> {
  const meta = createMetaConnect({
    dialogBaseUrl: config.META_DIALOG_URL,
    graphBaseUrl: config.META_GRAPH_URL,
    apiVersion: config.META_API_VERSION,
    appId: config.META_APP_ID,
    appSecret: config.META_APP_SECRET,
    configId: config.META_LOGIN_CONFIG_ID,
    onAlarm: (alarm) => log.error({ destination: 'meta', kind: alarm.kind, detail: alarm.detail }, 'Meta says that something is wrong with us'),
  })
  return new Map([meta].map((adapter) => [adapter.destination, adapter]))
}
