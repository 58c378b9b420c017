/** Whether an error says that the database is away, full, stopping or too slow (F7, F8), so that the same may go well later. */

/** By SQLSTATE, or the system's code. */
const CODES = /^(?:08...|53...|57P0.|57014|55P03|58...|25P0[34]|ECONN(?:REFUSED|RESET)|ETIMEDOUT|ENOTFOUND|EPIPE)$/
/** By pg's own words where it has no code. */
const DRIVER_WORDS = /^(?:timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error)/

const says = ({ code, message }: { code?: unknown; message?: unknown }) => CODES.test(String(code)) || DRIVER_WORDS.test(String(message))

/** Of an error that work with the database ended with, whoever wrapped it. */
export const databaseUnavailable = (error: unknown): boolean => says(Object(error)) || says(Object(Object(error).cause))
