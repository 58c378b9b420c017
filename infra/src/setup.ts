/**
 * What an installation needs before its services start, and after each new version: roles → migrations → topics. Everything is
 * made only where it is missing, so it may run as often as one likes, one at a time.
 *
 * Environment: `DATABASE_URL` (a superuser, or who may create roles; the password may stand in `PGPASSWORD`), `ROLE_PASSWORD` (of
 * all roles; without it they keep theirs), `KAFKA_BROKERS` (host:port, comma-separated; without it no topics are made),
 * how to log in there (`packages/service/src/kafka-security.ts`), `KAFKA_REPLICATION` (copies of each topic, 1 by default).
 */
import { migrate } from '@audience-sync/db/migrate'
import { kafkaSecurity } from '@audience-sync/service/kafka-security'
import { makeTopics } from './kafka/topics.ts'
import { createRoles, MIGRATOR, serviceRoles, urlAs } from './postgres/roles.ts'
import { schemas } from './postgres/schemas.ts'

const { DATABASE_URL, ROLE_PASSWORD, KAFKA_BROKERS, KAFKA_REPLICATION = '1' } = process.env
if (!DATABASE_URL) throw new Error('DATABASE_URL is not set: the connection string of who may create roles.')
if (!/^[1-9]$/.test(KAFKA_REPLICATION)) throw new Error('KAFKA_REPLICATION must be a number from 1 to 9.')
const security = kafkaSecurity(process.env) // before anything is made

const logins = [MIGRATOR, ...Object.keys(serviceRoles)]
await createRoles(DATABASE_URL, ROLE_PASSWORD ? Object.fromEntries(logins.map((role) => [role, ROLE_PASSWORD])) : {})
console.log('roles: there')

const say = (what: string, made: readonly string[]) => console.log(`${what}: ${made.length === 0 ? 'nothing to do' : made.join(', ')}`)
say('migrations', await migrate(urlAs(DATABASE_URL, MIGRATOR, ROLE_PASSWORD), schemas))
if (KAFKA_BROKERS) say('topics', await makeTopics(KAFKA_BROKERS.split(','), { replicationFactor: Number(KAFKA_REPLICATION), security }))
