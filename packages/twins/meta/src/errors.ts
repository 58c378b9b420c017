/**
 * The platform's error envelope and every refusal of this twin by name. Codes and subcodes: vendors/meta.md §2 and §4; the texts are ours, since
 * the vendor changes its own ("dispatch on code and subcode, never on texts").
 */
export type GraphErrorBody = {
  message: string
  type: string
  code: number
  error_subcode?: number
  is_transient?: boolean
  error_user_title?: string
  error_user_msg?: string
  error_data?: { blame_field_specs: string[][] }
  fbtrace_id?: string
}

type Details = { subcode?: number | undefined; status?: number | undefined; type?: string; title?: string; userMessage?: string; blame?: string }

/** Thrown anywhere below the dispatcher, which turns it into `{error: …}` with the HTTP status. */
export class GraphError extends Error {
  readonly status: number
  readonly body: GraphErrorBody
  constructor(code: number, message: string, details: Details = {}) {
    super(message)
    this.status = details.status ?? statusOf(code)
    this.body = {
      message,
      type: details.type ?? 'OAuthException',
      code,
      ...(details.subcode ? { error_subcode: details.subcode } : {}),
      ...(TRANSIENT.has(code) ? { is_transient: true } : {}),
      ...(details.title ? { error_user_title: details.title } : {}),
      ...(details.userMessage ? { error_user_msg: details.userMessage } : {}),
      ...(details.blame ? { error_data: { blame_field_specs: [[details.blame]] } } : {}),
    }
  }
}

const TRANSIENT = new Set([1, 2, 4, 17, 341, 613])

/** The platform answers nearly everything with 400, a dead token included: who looks at the status only is caught here. */
const statusOf = (code: number): number => {
  if (code === 1 || code === 2) return 500
  if (code === 3 || code === 4 || code === 10 || (code >= 200 && code <= 299)) return 403
  return 400
}

export const invalidParameter = (message: string, blame?: string) => new GraphError(100, `(#100) ${message}`, blame === undefined ? {} : { blame })
export const missingParameter = (name: string) => invalidParameter(`Missing parameter(s): ${name}`, name)
export const unknownField = (field: string, node: string) => invalidParameter(`Tried accessing nonexisting field (${field}) on node type (${node})`)
export const unknownPath = (path: string) => new GraphError(2500, `Unknown path components: ${path}`)
export const versionDead = (version: string, newest: string) =>
  new GraphError(2635, `(#2635) You are calling a deprecated version of the Ads API (${version}). Please update to the latest version: ${newest}.`)
/** Missing, foreign and invisible objects look alike (§2). */
export const unknownObject = (id: string, method: string) =>
  new GraphError(
    100,
    `Unsupported ${method.toLowerCase()} request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation`,
    {
      subcode: 33,
      type: 'GraphMethodException',
    },
  )

export const tokenMissing = () => new GraphError(104, 'An access token is required to request this resource.')
export const tokenDead = (subcode: number | undefined) => new GraphError(190, DEAD_TOKEN[subcode ?? 0] ?? 'Error validating access token.', { subcode })
const DEAD_TOKEN: Record<number, string> = {
  0: 'Invalid OAuth access token - Cannot parse access token',
  458: 'Error validating access token: The user has not authorized application.',
  459: 'Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given.',
  460: 'Error validating access token: The session has been invalidated because the user changed their password.',
  463: 'Error validating access token: Session has expired.',
  464: 'Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user.',
  467: 'Error validating access token: The session was invalidated because the user logged out.',
}
export const permissionMissing = (what: string) => new GraphError(200, `(#200) ${what}`)
export const createNotPermitted = () =>
  new GraphError(2654, '(#2654) You do not have permission to create a custom audience for this ad account', { subcode: 1713092 })

export const termsNotSigned = (accountId: string) =>
  new GraphError(200, 'Permissions error', {
    subcode: 1870034,
    title: 'Custom Audience Terms Not Accepted',
    userMessage: `To create or edit an audience, accept the terms at https://business.facebook.com/ads/manage/customaudiences/tos/?act=${accountId}`,
  })
/** Signed by somebody, but not by the person whose token this is, or not for the business that owns the account (§3.5). */
export const termsNotSignedByPerson = () => new GraphError(2663, '(#2663) Terms of service has not been accepted by this user')
export const termsNotSignedByBusiness = () => new GraphError(2664, '(#2664) Terms of service has not been accepted by the business that owns this ad account')
export const audienceTooSmall = () =>
  new GraphError(200, 'Permissions error', {
    subcode: 1870047,
    title: 'Audience Size Too Low',
    userMessage: 'Removing these people would make the audience too small.',
  })

export const uploadBlocked = () =>
  new GraphError(100, 'Invalid parameter', {
    subcode: 1713230,
    title: 'Audience Flagged',
    userMessage: 'This audience may break the rules on what a list may say about people.',
  })
export const flaggedFieldsStay = (fields: readonly string[]) =>
  new GraphError(100, 'Invalid parameter', { subcode: 1713231, title: 'Change Flagged Fields', userMessage: `Change: ${fields.join(', ')}` })
export const valueForPlain = () => invalidParameter('LOOKALIKE_VALUE is for value-based custom audiences', 'payload')
export const seedFlagged = () => new GraphError(100, 'Invalid parameter', { subcode: 1713232, title: 'Seed Audience Flagged' })
export const audienceDisabled = () => new GraphError(100, 'Invalid parameter', { subcode: 1870065, title: 'Audience Disabled' })
export const audienceDeleted = () => new GraphError(100, 'Invalid parameter', { subcode: 1487366, title: 'Audience Deleted' })
/** 803 on `/users` right after the creation (§2). */
export const audienceNotReadable = (id: string) => new GraphError(803, `(#803) Some of the aliases you requested do not exist: ${id}`)

export const createFailed = (message: string, subcode?: number) => new GraphError(2654, `(#2654) ${message}`, { subcode })
export const updateFailed = (message: string, subcode?: number) => new GraphError(2650, `(#2650) Failed to update the custom audience: ${message}`, { subcode })
export const deleteRefused = () => new GraphError(2656, '(#2656) Failed to delete custom audience: it is used by lookalike audiences')
/** 30,000 rows in one call were answered like this (§9). */
export const tooManyRows = () => new GraphError(1, 'An unknown error occurred', { subcode: 99 })
export const reduceData = () => new GraphError(1, "Please reduce the amount of data you're asking for, then retry your request")

const THROTTLED: Record<number, string> = {
  4: '(#4) Application request limit reached',
  17: '(#17) User request limit reached',
  32: '(#32) Page request limit reached',
  341: '(#341) Application limit reached',
  613: '(#613) Calls to this api have exceeded the rate limit.',
}
const isThrottle = (code: number) => code in THROTTLED || (code >= 80000 && code <= 80014)

/** Any error by its numbers, for faults. */
export const errorByCode = (code: number, subcode?: number, status?: number): GraphError => {
  if (isThrottle(code))
    return new GraphError(code, THROTTLED[code] ?? `(#${code}) There have been too many calls to this ad-account. Wait a bit and try again.`, {
      subcode,
      status,
    })
  if (code === 190) return new GraphError(190, tokenDead(subcode).message, { subcode, status })
  return new GraphError(code, `(#${code}) Error ${code}${subcode === undefined ? '' : `/${subcode}`}`, { subcode, status })
}
