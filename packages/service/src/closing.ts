/** A stop that does not wait for idle connections. */
import type { FastifyInstance } from 'fastify'

/**
 * Ends each connection with its next answer once the stop has begun. Fastify closes those that are idle at that moment;
 * one that is busy would be kept open after its answer for the whole keep-alive, and the stop would wait for it.
 */
export function closeConnections(app: FastifyInstance): void {
  let stopping = false
  app.addHook('preClose', async () => {
    stopping = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (stopping) reply.header('connection', 'close')
  })
}
