/**
 * The roles of one installation: one login per service, none of them owner of anything, all under forced row-level security.
 * `migrator` owns the schemas and runs the migrations. `relay` crosses tenants, on outboxes only. The connectors share the
 * group `connector`, whose policies show each its own destination (DESIGN.md §3, RELIABILITY.md §3.5).
 */
import pg from 'pg'

/** Login role → the schemas on its search path, its own first. */
export const serviceRoles = {
  gateway: ['gateway'],
  connections: ['connections'],
  behavior_export: ['behavior_export'],
  audiences: ['sync'],
  connector_meta: ['sync'],
  scheduler: ['scheduler'],
  webhooks: ['webhooks'],
  relay: ['bus'],
} as const satisfies Record<string, readonly string[]>

export type ServiceRole = keyof typeof serviceRoles

export const MIGRATOR = 'migrator'
const CONNECTOR_GROUP = 'connector'

/** Makes what is missing of the roles and lets `migrator` create schemas in this database. Run as a superuser or CREATEROLE user. */
export async function createRoles(url: string, passwords: Partial<Record<string, string>> = {}): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string; db: string }>('SELECT rolname AS name, current_database() AS db FROM pg_roles')
    const have = new Set(rows.map(({ name }) => name))
    const db = client.escapeIdentifier(rows[0]?.db ?? 'postgres')
    const create = async (role: string, attributes: string) => {
      if (!have.has(role)) await client.query(`CREATE ROLE ${role} ${attributes} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE`)
      const password = passwords[role]
      if (password) await client.query(`ALTER ROLE ${role} PASSWORD ${client.escapeLiteral(password)}`)
    }
    await create(MIGRATOR, 'LOGIN')
    await create(CONNECTOR_GROUP, 'NOLOGIN')
    for (const [role, path] of Object.entries(serviceRoles)) {
      await create(role, 'LOGIN')
      await client.query(`ALTER ROLE ${role} SET search_path = ${path.join(', ')}`)
      if (role.startsWith('connector_')) await client.query(`GRANT ${CONNECTOR_GROUP} TO ${role}`)
    }
    await client.query(`REVOKE ALL ON DATABASE ${db} FROM PUBLIC`)
    await client.query(`GRANT CREATE, CONNECT, TEMPORARY ON DATABASE ${db} TO ${MIGRATOR}`)
    // TEMPORARY: bulk loads go through a temporary table, because COPY into a table under row-level security is refused.
    await client.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${db} TO ${Object.keys(serviceRoles).join(', ')}`)
  } finally {
    await client.end()
  }
}

/** The same server and database under another role. */
export function urlAs(url: string, role: string, password?: string): string {
  const changed = new URL(url)
  changed.username = role
  changed.password = password ?? ''
  return changed.href
}
