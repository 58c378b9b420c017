/** What cannot be read as HTTP is answered on the bare socket: no request exists yet, so no hook and no handler is asked. */
import type { Socket } from 'node:net'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { AppError, toProblem } from '@audience-sync/errors/app-error'

/** Fastify's `clientErrorHandler`. */
export function answerClientError({ code }: { code?: string }, socket: Socket): void {
  if (code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy()
  const id = publicId('request', newUuid())
  const late = code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const refusal = late
    ? new AppError('request_timeout', 'The request did not arrive in time.')
    : new AppError('validation_failed', 'This is not an HTTP request we can read.')
  const body = JSON.stringify(toProblem(refusal, id))
  const head = [
    `HTTP/1.1 ${refusal.status} ${late ? 'Service Unavailable' : 'Bad Request'}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${id}`,
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Fastify's `rewriteUrl`: a path that does not decode goes to where nothing is, through the same hooks as any unknown path. */
export function readableUrl({ url = '/' }: { url?: string | undefined }): string {
  if (!url.includes('%')) return url
  try {
    decodeURIComponent(url.split('?')[0] ?? '')
    return url
  } catch {
    return '/-'
  }
}
