/** A server that does what platforms do on their worst days. The path says what: `/hang`, `/reset`, … */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Misbehaving {
  readonly url: string
  /** Requests that arrived, with their bodies. */
  readonly seen: { method: string; path: string; body: Buffer; headers: IncomingMessage['headers'] }[]
  /** Connections that are open now. */
  open(): number
  stop(): Promise<void>
}

type Act = (request: IncomingMessage, response: ServerResponse) => void

export async function misbehaving(acts: Record<string, Act>): Promise<Misbehaving> {
  const seen: Misbehaving['seen'] = []
  let open = 0
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const path = request.url ?? ''
    seen.push({ method: request.method ?? '', path, body: Buffer.concat(chunks), headers: request.headers })
    const act = acts[path.split('?')[0] ?? '']
    if (act) act(request, response)
    else response.end('{}')
  })
  server.on('connection', (socket) => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
  })
  await listen(server)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    open: () => open,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const listen = (server: ReturnType<typeof createServer>) => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
