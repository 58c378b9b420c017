/**
 * Answers that hold a secret which was made for them. What `idempotent` stores has `null` in its place; the secret is put in on
 * its way out, once, in the answer of the request that made it. So it stands in no table.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'

const secrets = new WeakMap<FastifyRequest, Readonly<Record<string, string>>>()

/** Remembers members of this request's answer, for example `{ key }`. */
export const answerOnce = (request: FastifyRequest, members: Readonly<Record<string, string>>): void => void secrets.set(request, members)

/** The `onSend` of such a route. */
export async function putSecretIn(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  const members = secrets.get(request)
  const good = reply.statusCode === 200 || reply.statusCode === 201
  return members && good && typeof payload === 'string' ? JSON.stringify({ ...JSON.parse(payload), ...members }) : payload
}
