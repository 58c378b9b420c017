/**
 * Codes and tokens: vendors/meta.md §3.2–§3.4. A code is good once, for ten minutes, for the redirect URI it was asked with. A token is good until
 * it expires or is killed; killed tokens keep the subcode that says why. A permission that a person's tokens did not use for 90 days lapses.
 */
import { createHash, createHmac } from 'node:crypto'
import { GraphError, invalidParameter, tokenDead } from './errors.ts'
import { letters, type Random } from './random.ts'

export type TokenType = 'USER' | 'SYSTEM_USER'
export type Grant = { userId: string; type: TokenType; scopes: ReadonlySet<string>; declined: ReadonlySet<string>; businessId?: string }
export type Token = Grant & {
  value: string
  issuedAt: number
  /** Milliseconds since 1970; 0 never. */
  expiresAt: number
  /** Subcode of its death; 0 for a death without one. */
  dead?: number
}
/** `challenge`: of PKCE (S256), where the dialog was given one; `lifeMs`: of the token to come, 0 for ever. */
type CodeTerms = { redirectUri: string; lifeMs: number; challenge: string | undefined }
/** Of one person: scope → when it was granted or last used; `lapsed` are those that were left too long. */
type Habits = { used: Map<string, number>; lapsed: Set<string> }
type Code = CodeTerms & { grant: Grant; expiresAt: number; used: boolean }

const CODE_LIFE_MS = 10 * 60_000
const DAY_MS = 86_400_000
/** "A permission unused for 90 days must be granted again" (§3.1); data access is counted in the same way (§3.4, from memory). */
export const LAPSE_MS = 90 * DAY_MS
/** Come with any login and stay. */
const LASTING = new Set(['public_profile', 'email'])

export type Tokens = {
  createCode(now: number, grant: Grant, terms: CodeTerms): string
  /** @throws GraphError 100 for a code that is unknown, used, expired or asked for by another redirect URI */
  exchange(now: number, code: string, redirectUri: string, verifier: string | undefined): Token
  /** @param lifeMs 0: never expires */
  issue(now: number, grant: Grant, lifeMs: number): Token
  /** @throws GraphError 190 with its subcode, if there is one */
  alive(now: number, value: string): Token
  find(value: string): Token | undefined
  /** Kills the tokens of one person, or one token. */
  kill(which: { userId: string } | { value: string }, subcode: number): void
  /** Takes one permission from every token of a person. */
  revoke(userId: string, permission: string): void
  /** Notes that a call needed these permissions; those that the token lacks are passed over. */
  use(now: number, token: Token, ...permissions: string[]): void
  /** Permissions of this person that lapsed for want of use and were not granted again. */
  lapsed(userId: string): ReadonlySet<string>
  all(): Token[]
}

export const createTokens = (random: Random): Tokens => {
  const codes = new Map<string, Code>()
  const tokens = new Map<string, Token>()
  const people = new Map<string, Habits>()
  const habitsOf = (userId: string): Habits => {
    const habits = people.get(userId) ?? { used: new Map(), lapsed: new Set() }
    people.set(userId, habits)
    return habits
  }
  const granted = (now: number, grant: Grant): void => {
    const habits = habitsOf(grant.userId)
    for (const scope of grant.scopes) {
      habits.used.set(scope, now)
      habits.lapsed.delete(scope)
    }
  }
  const take = (userId: string, permission: string): void => {
    for (const token of tokens.values()) if (token.userId === userId) token.scopes = new Set(Array.from(token.scopes).filter((scope) => scope !== permission))
  }
  const lapse = (now: number, userId: string): void => {
    const habits = habitsOf(userId)
    for (const [scope, at] of habits.used) {
      if (LASTING.has(scope) || now - at < LAPSE_MS) continue
      habits.used.delete(scope)
      habits.lapsed.add(scope)
      take(userId, scope)
    }
  }
  return {
    createCode: (now, grant, terms) => {
      granted(now, grant)
      const code = `AQ${letters(random, 60)}`
      codes.set(code, { ...terms, grant, expiresAt: now + CODE_LIFE_MS, used: false })
      return code
    },
    exchange(now, value, redirectUri, verifier) {
      const code = codes.get(value)
      if (code === undefined) throw new GraphError(100, 'Invalid verification code format.')
      if (code.used) throw new GraphError(100, 'This authorization code has been used.', { subcode: 36009 })
      if (code.expiresAt <= now) throw new GraphError(100, 'This authorization code has expired.', { subcode: 36007 })
      if (code.redirectUri !== redirectUri)
        throw new GraphError(
          100,
          'Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request',
          { subcode: 36008 },
        )
      if (
        code.challenge !== undefined &&
        createHash('sha256')
          .update(verifier ?? '')
          .digest('base64url') !== code.challenge
      )
        throw new GraphError(100, 'Invalid code_verifier.')
      code.used = true
      return this.issue(now, code.grant, code.lifeMs)
    },
    issue: (now, grant, lifeMs) => {
      const token: Token = { ...grant, value: `EAA${letters(random, 120)}`, issuedAt: now, expiresAt: lifeMs === 0 ? 0 : now + lifeMs }
      tokens.set(token.value, token)
      return token
    },
    alive: (now, value) => {
      const token = tokens.get(value)
      if (token === undefined) throw tokenDead(undefined)
      if (token.dead !== undefined) throw tokenDead(token.dead)
      if (token.expiresAt !== 0 && token.expiresAt <= now) throw tokenDead(463)
      lapse(now, token.userId)
      return token
    },
    find: (value) => tokens.get(value),
    kill: (which, subcode) => {
      for (const token of tokens.values()) if ('value' in which ? token.value === which.value : token.userId === which.userId) token.dead = subcode
    },
    revoke: take,
    use: (now, token, ...permissions) => {
      for (const permission of permissions) if (token.scopes.has(permission)) habitsOf(token.userId).used.set(permission, now)
    },
    lapsed: (userId) => habitsOf(userId).lapsed,
    all: () => Array.from(tokens.values()),
  }
}

/** For how long a signed time is taken; the vendor names no figure. */
const PROOF_TIME_S = 300

/** @throws GraphError 100 for a proof that does not sign the token, or the token and the time if one is given (§3.4) */
export const checkProof = (appSecret: string, token: string, proof: string, time: string | undefined, now: number): void => {
  if (time !== undefined && Math.abs(Number(time) - now / 1000) > PROOF_TIME_S)
    throw invalidParameter('Expired appsecret_time provided in the API argument', 'appsecret_time')
  const signed = createHmac('sha256', appSecret)
    .update(time === undefined ? token : `${token}|${time}`)
    .digest('hex')
  if (signed !== proof) throw new GraphError(100, 'Invalid appsecret_proof provided in the API argument', { type: 'GraphMethodException' })
}
