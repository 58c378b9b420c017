/** The public API as any customer's program would call it: nothing here knows what is behind the gateway. */
import type { System } from './system.ts'

export class ApiProblem extends Error {
  readonly code: string
  constructor(method: string, path: string, status: number, problem: { code?: string; detail?: string; solution?: string; errors?: unknown }) {
    super(
      `${method} ${path} answered ${status} ${problem.code ?? ''}: ${problem.detail ?? ''} ${problem.solution ?? ''} ${problem.errors ? JSON.stringify(problem.errors) : ''}`,
    )
    this.code = problem.code ?? ''
  }
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked at here, not kept
export type Json = { [name: string]: any }

export function apiOf({ url, adminKey }: Pick<System, 'url' | 'adminKey'>) {
  return async (method: string, path: string, body?: unknown): Promise<Json> => {
    const lines = typeof body === 'string'
    const response = await fetch(`${url}/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${adminKey}`,
        ...(body !== undefined && { 'content-type': lines ? 'application/x-ndjson' : 'application/json' }),
      },
      ...(body !== undefined && { body: lines ? body : JSON.stringify(body) }),
    })
    const answer = (await response.json().catch(() => ({}))) as Json
    if (!response.ok) throw new ApiProblem(method, path, response.status, answer)
    return answer
  }
}

export type Api = ReturnType<typeof apiOf>
