/** What this service reads from the environment; the descriptions are its manual. */
import { readFileSync } from 'node:fs'
import { baseConfig, consumerConfig, zInteger, zPort } from '@audience-sync/service/config'
import { type Keks, parseKeks } from '@audience-sync/vault/keks'
import { z } from 'zod'

export const configSchema = z.object({
  ...baseConfig,
  ...consumerConfig,
  PORT: zPort(8082).describe('port to listen on; 0 takes any free one'),
  BEHAVIOR_EXPORT_KEK: z.string().optional().describe('key-encryption keys, the current first: kek_<name>:<32 bytes in base64url>,…'),
  BEHAVIOR_EXPORT_KEK_FILE: z.string().optional().describe('a file that holds them instead'),
  CHANGE_LOG_DAYS: zInteger({ min: 1, max: 3_650, fallback: 30 }).describe('how long changes can be read; who falls further behind reads everything'),
  DATABASE_CONNECTIONS: zInteger({ min: 4, max: 200, fallback: 16 }).describe('connections to PostgreSQL at most'),
})

export type Config = Pick<
  z.output<typeof configSchema>,
  'DATABASE_URL' | 'HOST' | 'PORT' | 'BEHAVIOR_EXPORT_KEK' | 'BEHAVIOR_EXPORT_KEK_FILE' | 'DEAD_LETTER_KEY' | 'CHANGE_LOG_DAYS' | 'DATABASE_CONNECTIONS'
>

/** @throws VaultError without a key: what cannot be encrypted may not be stored, so the service does not start. */
export const readKeks = ({ BEHAVIOR_EXPORT_KEK, BEHAVIOR_EXPORT_KEK_FILE }: Config): Keks =>
  parseKeks(BEHAVIOR_EXPORT_KEK ?? (BEHAVIOR_EXPORT_KEK_FILE ? readFileSync(BEHAVIOR_EXPORT_KEK_FILE, 'utf8') : undefined))
