const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The id to keep beside a membership: 16 bytes where it is a UUID, nothing for other schemes. */
export const eventIdOf = (id: string | undefined): string | null => (id && UUID.test(id) ? id : null)
