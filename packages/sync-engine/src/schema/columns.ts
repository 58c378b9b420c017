/** Columns that Drizzle does not know, or that must be chosen alike in every table. Here, not in a package: drizzle-kit reads sources only. */
import { bigint, customType, timestamp } from 'drizzle-orm/pg-core'

export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** A moment. Without its time zone it would be read in the server's. */
export const at = (name: string) => timestamp(name, { withTimezone: true })

/** A number that the database gives out. */
export const identity = (name: string) => bigint(name, { mode: 'number' }).generatedAlwaysAsIdentity()
