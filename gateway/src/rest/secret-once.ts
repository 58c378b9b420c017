/**
 * Answers that hold a new key's secret. What `idempotent` stores has `key: null`; the secret is put in on its way out, once,
 * in the answer of the request that made it. So it stands in no table.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'

const secrets = new WeakMap<FastifyRequest, string>()

/** Remembers the secret for this request's answer. */
export const answerOnce = (request: FastifyRequest, key: string): void => void secrets.set(request, key)

/** The `onSend` of such a route. */
export async function putSecretIn(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  const key = secrets.get(request)
  return key !== undefined && reply.statusCode === 201 && typeof payload === 'string' ? JSON.stringify({ ...JSON.parse(payload), key }) : payload
}
