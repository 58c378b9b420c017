/** Sockets on which nothing moves: closed when it is the other side that ought to, and kept while the work is ours. */
import type { FastifyInstance } from 'fastify'

/**
 * The server ends a socket on which nothing has moved for `connectionTimeout`, though its request has come and is being worked on: then a
 * route that may take longer would be cut off without an answer, and its own deadline, which answers 503, never come. So that time
 * counts for a body that does not come and an answer that is not taken, and `handlerTimeout` for what is between.
 */
export function waitForOurselves(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.on('timeout', () => {
      if (!request.raw.complete || reply.raw.headersSent) request.raw.socket.destroy()
    })
    done()
  })
}
