/**
 * Parameters of one Graph call, whether they came in the query, a form or a JSON body, read by type. Unlike the platform, which skips what it does
 * not know, the twin refuses unknown names: in a test they are typing errors.
 */
import { GraphError, invalidParameter, missingParameter } from './errors.ts'

export type Params = {
  has(name: string): boolean
  text(name: string): string | undefined
  requiredText(name: string): string
  integer(name: string, range: { min: number; max?: number }): number | undefined
  flag(name: string): boolean | undefined
  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined
  listOf<T extends string>(name: string, allowed?: readonly T[]): T[] | undefined
  /** An object or list, given as such in a JSON body or as JSON text elsewhere. */
  json(name: string): unknown
  names(): string[]
}

/** On every call: credentials, the method for stacks that drop bodies, and what v26 ignores (§0). */
const GLOBAL = new Set(['access_token', 'appsecret_proof', 'appsecret_time', 'method', 'locale', 'format', 'pretty', 'debug', 'suppress_http_code'])
/** Removed for every version on 2026-10-27 (§0). */
const REMOVED = new Set(['ids', 'date_format'])

export const refuseUnknown = (params: Params, known: readonly string[]): void => {
  for (const name of params.names()) {
    if (REMOVED.has(name)) throw invalidParameter(`The parameter ${name} is no longer supported`, name)
    if (!GLOBAL.has(name) && !known.includes(name)) throw invalidParameter(`Unknown parameter: ${name}`, name)
  }
}

export const createParams = (values: Readonly<Record<string, unknown>>): Params => {
  const wrong = (name: string, type: string) => invalidParameter(`Param ${name} must be ${type}`, name)
  const has = (name: string) => values[name] !== undefined && values[name] !== null
  const text = (name: string) => {
    const value = values[name]
    if (!has(name)) return undefined
    if (typeof value !== 'string' && typeof value !== 'number') throw wrong(name, 'a string')
    return String(value)
  }
  const json = (name: string): unknown => {
    const value = values[name]
    if (typeof value !== 'string') return value ?? undefined
    try {
      return JSON.parse(value)
    } catch {
      throw wrong(name, 'valid JSON')
    }
  }
  return {
    has,
    text,
    json,
    names: () => Object.keys(values),
    requiredText: (name) => {
      const value = text(name)
      if (value === undefined || value === '') throw missingParameter(name)
      return value
    },
    integer: (name, { min, max = Number.MAX_SAFE_INTEGER }) => {
      const value = text(name)
      if (value === undefined) return undefined
      const number = Number(value)
      if (!/^-?\d+$/.test(value) || number < min || number > max) throw wrong(name, `an integer from ${min} to ${max}`)
      return number
    },
    flag: (name) => {
      if (!has(name)) return undefined
      const value = String(values[name])
      if (value === 'true' || value === '1') return true
      if (value === 'false' || value === '0') return false
      throw wrong(name, 'a boolean')
    },
    oneOf: <T extends string>(name: string, allowed: readonly T[]) => {
      const value = text(name)
      if (value === undefined) return undefined
      const found = allowed.find((one) => one === value)
      if (found === undefined) throw wrong(name, `one of {${allowed.join(', ')}}`)
      return found
    },
    listOf: <T extends string>(name: string, allowed?: readonly T[]) => {
      if (!has(name)) return undefined
      const list = json(name)
      if (!Array.isArray(list)) throw wrong(name, 'an array')
      for (const value of list)
        if (allowed !== undefined ? !allowed.includes(value) : typeof value !== 'string')
          throw wrong(`${name}[]`, allowed ? `one of {${allowed.join(', ')}}` : 'a string')
      return list as T[]
    },
  }
}

/** Query and body in one, the body winning. @throws GraphError 100 for a body that is not what its content type says */
export const readParams = (query: string, raw: Buffer | undefined, contentType: string | undefined): Params => {
  const values: Record<string, unknown> = Object.fromEntries(new URLSearchParams(query))
  if (raw === undefined || raw.length === 0) return createParams(values)
  const kind = (contentType ?? '').split(';')[0]?.trim().toLowerCase()
  if (kind === 'application/x-www-form-urlencoded') return createParams({ ...values, ...Object.fromEntries(new URLSearchParams(raw.toString('utf8'))) })
  if (kind !== 'application/json') throw invalidParameter(`Unsupported content type: ${kind}`)
  return createParams({ ...values, ...parseObject(raw) })
}

const parseObject = (raw: Buffer): Record<string, unknown> => {
  let body: unknown
  try {
    body = JSON.parse(raw.toString('utf8'))
  } catch {
    throw new GraphError(100, '(#100) Invalid JSON in request body')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidParameter('The request body must be a JSON object')
  return body as Record<string, unknown>
}
