/** The platform's stand-in, seen through its control routes (API.md, «Twins»). */
export interface JournalEntry {
  readonly seq: number
  readonly at: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly status: number | null
  readonly response: unknown
  readonly fault?: string
}

export interface FarAudience {
  /** Applied rows, `{KEY: hashed value}`. */
  readonly members: readonly Readonly<Record<string, string>>[]
  readonly size: number
  readonly pending: number
}

export interface Twin {
  readonly url: string
  /** What was asked and answered, from the first request after `after`. */
  journal(after?: number): Promise<JournalEntry[]>
  state(): Promise<{ readonly audiences: readonly { readonly id: string; readonly name: string; readonly deleted: boolean }[] }>
  audience(externalId: string): Promise<FarAudience>
  /** Pushes the clock: what is accepted shows. */
  clock(advanceMs: number): Promise<void>
  fault(fault: Readonly<Record<string, unknown>>): Promise<void>
  clearFaults(): Promise<void>
  /** Somebody changes, or deletes, an audience in the platform's own screens. */
  changeAudience(externalId: string, changes: Readonly<Record<string, unknown>>): Promise<void>
  deleteAudience(externalId: string): Promise<void>
  /** Somebody made one by hand: `{accountId, name, members?: [{EMAIL: hash}], …}`. Answers its id. */
  makeAudience(audience: Readonly<Record<string, unknown>>): Promise<string>
  /** Which versions live: `{alive?, expired?, changed?}`. They hold for every test that shares the twin: set them back. */
  changeVersions(versions: Readonly<Record<string, unknown>>): Promise<void>
  /** The platform posts to us: `{userId?, callbackUrl, kind, tamper?}`; answers what it was answered. */
  callBack(callback: Readonly<Record<string, unknown>>): Promise<{ readonly status: number; readonly body: unknown }>
  changeAccount(externalId: string, changes: Readonly<Record<string, unknown>>): Promise<void>
  /** Presses Allow; answers where the browser would go. */
  authorize(authorizeUrl: string, choice?: { readonly deny?: boolean; readonly decline?: readonly string[] }): Promise<string>
}

export function twinAt(url: string): Twin {
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/_twin${path}`, { method, ...(body !== undefined && { body: JSON.stringify(body) }) })
    const text = await response.text()
    if (!response.ok) throw new Error(`The twin answered ${response.status} to ${method} ${path}: ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  return {
    url,
    journal: (after = 0) => ask('GET', `/journal?after=${after}`) as Promise<JournalEntry[]>,
    state: () => ask('GET', '/state') as ReturnType<Twin['state']>,
    audience: (id) => ask('GET', `/audiences/${id}`) as Promise<FarAudience>,
    clock: async (advanceMs) => void (await ask('POST', '/clock', { advanceMs })),
    fault: async (fault) => void (await ask('POST', '/faults', fault)),
    clearFaults: async () => void (await ask('DELETE', '/faults')),
    changeAudience: async (id, changes) => void (await ask('PATCH', `/audiences/${id}`, changes)),
    deleteAudience: async (id) => void (await ask('DELETE', `/audiences/${id}`)),
    makeAudience: async (audience) => ((await ask('POST', '/audiences', audience)) as { id: string }).id,
    changeVersions: async (versions) => void (await ask('PATCH', '/versions', versions)),
    callBack: async (callback) => (await ask('POST', '/deauthorize', callback)) as { status: number; body: unknown },
    changeAccount: async (id, changes) => void (await ask('PATCH', `/accounts/${id}`, changes)),
    authorize: async (authorizeUrl, choice = {}) => ((await ask('POST', '/authorize', { authorizeUrl, ...choice })) as { redirectUrl: string }).redirectUrl,
  }
}
