/**
 * Codes and tokens: vendors/meta.md §3.2–§3.4. A code is good once, for ten minutes, for the redirect URI it was asked with. A token is good until
 * it expires or is killed; killed tokens keep the subcode that says why.
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
type Code = CodeTerms & { grant: Grant; expiresAt: number; used: boolean }

const CODE_LIFE_MS = 10 * 60_000

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
  all(): Token[]
}

export const createTokens = (random: Random): Tokens => {
  const codes = new Map<string, Code>()
  const tokens = new Map<string, Token>()
  return {
    createCode: (now, grant, terms) => {
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
      return token
    },
    find: (value) => tokens.get(value),
    kill: (which, subcode) => {
      for (const token of tokens.values()) if ('value' in which ? token.value === which.value : token.userId === which.userId) token.dead = subcode
    },
    revoke: (userId, permission) => {
      for (const token of tokens.values()) {
        if (token.userId === userId) token.scopes = new Set(Array.from(token.scopes).filter((scope) => scope !== permission))
      }
    },
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
