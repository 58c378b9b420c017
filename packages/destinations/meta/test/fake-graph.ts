/** Answers in the place of Meta for tests of one function; what it was asked is kept. */
import type { CallRecord, Context, Usage } from '@audience-sync/destination-kit/contract'
import { DestinationError, type Failure } from '@audience-sync/destination-kit/failure'
import type { HttpAnswer, HttpRequest } from '@audience-sync/http/client'
import type { Http } from '../src/client.ts'

export interface FakeAnswer {
  readonly status?: number
  readonly body?: unknown
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function answerOf({ status = 200, body = {}, text, headers = {} }: FakeAnswer): HttpAnswer {
  const bytes = Buffer.from(text ?? JSON.stringify(body))
  const date = new Date(headers.date ?? Number.NaN)
  return {
    status,
    headers,
    body: bytes,
    date: Number.isNaN(date.getTime()) ? null : date,
    durationMs: 1,
    json() {
      try {
        return JSON.parse(bytes.toString())
      } catch {
        return undefined
      }
    },
  }
}

export const graphError = (code: number, subcode?: number, more: object = {}): FakeAnswer => ({
  status: 400,
  body: { error: { message: 'why', type: 'OAuthException', code, error_subcode: subcode, fbtrace_id: 'trace', ...more } },
})

type Respond = (request: HttpRequest, index: number) => FakeAnswer | Error

/** Answers in turn, or by a function; an `Error` is thrown. */
export function fakeGraph(answers: readonly (FakeAnswer | Error)[] | Respond): Http & { readonly requests: HttpRequest[] } {
  const requests: HttpRequest[] = []
  const respond: Respond = typeof answers === 'function' ? answers : (_request, index) => answers[index] ?? new Error('One call too many')
  return {
    requests,
    async request(request) {
      requests.push(request)
      const answer = respond(request, requests.length - 1)
      if (answer instanceof Error) throw answer
      return answerOf(answer)
    },
  }
}

export const accessToken = 'EAABsecrettoken'

export function testContext(): Context & { readonly calls: CallRecord[]; readonly usages: Usage[] } {
  const calls: CallRecord[] = []
  const usages: Usage[] = []
  return {
    calls,
    usages,
    accessToken,
    proof: 'proof',
    accountExternalId: '77',
    signal: new AbortController().signal,
    callTimeoutMs: 2_000,
    onCall: (record) => calls.push(record),
    onUsage: (usage) => usages.push(usage),
    alone: (_, work) => work(),
  }
}

/** How `work` failed; undefined: it did not, or not as destinations do. */
export const failed = async (work: Promise<unknown>): Promise<Failure | undefined> => {
  const error: unknown = await work.catch((thrown: unknown) => thrown)
  return error instanceof DestinationError ? error.failure : undefined
}
