/** How an answer leaves, whole or spoiled; RELIABILITY.md F11 and F12. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'

export type Answer = { status: number; body: unknown; headers: Record<string, string> }

const JSON_TYPE = 'application/json; charset=UTF-8'
/** A byte a second: any deadline of a caller comes first. */
const DRIP_MS = 1_000
/** More than any caller should be willing to read. */
const HUGE_BYTES = 64 * 1024 * 1024
const CHUNK = 'x'.repeat(64 * 1024)

export const sendJson = (reply: FastifyReply, { status, body, headers }: Answer) =>
  reply
    .code(status)
    .headers({ ...headers, 'content-type': JSON_TYPE })

    .send(JSON.stringify(body))

export const sendText = (reply: FastifyReply, { status, headers }: Answer, type: string, text: string) =>
  reply
    .code(status)
    .headers({ ...headers, 'content-type': type })
    .send(text)

/** Says nothing until the caller gives up, or until `ms` have passed. @returns whether the caller is still there */
export const hang = async (reply: FastifyReply, ms: number | undefined): Promise<boolean> => {
  const gone = closed(reply.raw)
  const stillThere = await Promise.race([gone.then(() => false), ...(ms === undefined ? [] : [delay(ms, true, { ref: false })])])
  if (!stillThere) reply.hijack()
  return stillThere
}

/** Cuts the connection without a word. */
export const cut = (reply: FastifyReply): void => {
  reply.hijack()
  reply.raw.socket?.resetAndDestroy()
}

/** Sends the headers at once and the body byte by byte. */
export const drip = async (reply: FastifyReply, { status, body, headers }: Answer, ms = DRIP_MS): Promise<void> => {
  reply.hijack()
  reply.raw.writeHead(status, { ...headers, 'content-type': JSON_TYPE })
  const gone = closed(reply.raw)
  for (const byte of Buffer.from(JSON.stringify(body))) {
    if (reply.raw.destroyed) return
    reply.raw.write(Buffer.of(byte))
    await Promise.race([delay(ms, undefined, { ref: false }), gone])
  }
  reply.raw.end()
}

/** A body that goes on and on. */
export const flood = async (reply: FastifyReply, { status, headers }: Answer): Promise<void> => {
  reply.hijack()
  reply.raw.writeHead(status, { ...headers, 'content-type': JSON_TYPE })
  reply.raw.write('{"data":"')
  const gone = closed(reply.raw)
  for (let sent = 0; sent < HUGE_BYTES && !reply.raw.destroyed; sent += CHUNK.length) {
    if (!reply.raw.write(CHUNK)) await Promise.race([new Promise((resolve) => reply.raw.once('drain', resolve)), gone])
  }
  reply.raw.end('"}')
}

const closed = async (response: ServerResponse): Promise<void> => {
  if (!response.destroyed) await once(response, 'close').catch(() => undefined)
}
