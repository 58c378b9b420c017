/** What this service reads from the environment; the descriptions are its manual. */
import { baseConfig, zInteger, zList, zPort, zSwitch } from '@audience-sync/service/config'
import { z } from 'zod'
import { metaApiVersion } from './adapters.ts'

export const configSchema = z.object({
  ...baseConfig,
  PORT: zPort(8081).describe('port to listen on; 0 takes any free one'),
  CONNECTIONS_KEK: z.string().describe('key-encryption keys, the current first: kek_<name>:<32 bytes in base64url>,…'),
  PUBLIC_URL: z
    .url()
    .default('http://127.0.0.1:8080')
    .describe('address of the gateway as browsers see it; callbacks are <it>/v1/oauth/<destination>/callback'),
  RETURN_URLS: zList.pipe(z.array(z.url())).optional().describe('where browsers may be sent after a consent, comma-separated, origin and path exact'),
  RETURN_TO_LOOPBACK: zSwitch(false).describe('sandbox: browsers may also be sent to any address of this machine'),
  MAX_CONNECTIONS: zInteger({ min: 1, max: 10_000, fallback: 50 }).describe('connections a tenant may have'),
  META_DIALOG_URL: z.url().default('https://www.facebook.com').describe('where Meta’s users consent'),
  META_GRAPH_URL: z.url().default('https://graph.facebook.com').describe('Meta’s Graph API'),
  META_API_VERSION: metaApiVersion.describe('version of the Graph API'),
  META_APP_ID: z.string().min(1).describe('the app at Meta'),
  META_APP_SECRET: z.string().min(1).describe('its secret'),
  META_LOGIN_CONFIG_ID: z.string().optional().describe('Facebook Login for Business: the configuration; without it, classic login'),
})

export type Config = z.output<typeof configSchema>
