/** Answers that go on for a while: sent piece by piece as they are made, ended when their reader goes or the service stops. */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { App } from './app.ts'

const IDLE_TIMEOUT_MS = 60_000 // in place of the server's 10 s: a slow reader, or nothing to say until the next heartbeat

export type Streamer = (reply: FastifyReply, type: string, make: (signal: AbortSignal) => AsyncIterable<string>) => FastifyReply

export function streamer(app: App): Streamer {
  const stopping = new AbortController()
  // An open stream would keep a stopping server waiting for ever; its reader comes back to another pod.
  app.addHook('preClose', async () => stopping.abort())
  return (reply, type, make) => {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    reply.raw.socket?.setTimeout(IDLE_TIMEOUT_MS)
    // A connection that is idle after its stream would keep a stopping server waiting, too.
    return reply
      .header('connection', 'close')
      .type(type)
      .send(Readable.from(make(AbortSignal.any([gone.signal, stopping.signal]))))
  }
}
