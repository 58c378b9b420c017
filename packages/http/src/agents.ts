/**
 * Keep-alive connections that know whether they were ever established. That is what tells "surely not done" from
 * "unknown": a request is written only to an established connection (with TLS: after the handshake).
 */
import { type ClientRequest, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Duplex } from 'node:stream'

const SOCKETS = 64 // calls at once to one platform; quotas end long before
const IDLE_MS = 30_000 // shorter than a load balancer's 60 s; a server's own Keep-Alive hint is obeyed besides

const established = new WeakSet<object>()

/** Whether the request had a connection to be written to. */
export const wasWritten = (request: ClientRequest | undefined): boolean => {
  const socket = request?.socket
  return socket !== undefined && socket !== null && established.has(socket)
}

function watch<S extends Duplex | null | undefined>(socket: S, event: 'connect' | 'secureConnect', timeoutMs: number): S {
  if (!socket) return socket
  const timer = setTimeout(() => socket.destroy(Object.assign(new Error('connect timeout'), { code: 'ECONNTIMEOUT' })), timeoutMs)
  socket.once(event, () => {
    established.add(socket)
    clearTimeout(timer)
  })
  socket.once('close', () => clearTimeout(timer))
  return socket
}

export function agents(connectTimeoutMs: number): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  const options = { keepAlive: true, keepAliveMsecs: 10_000, maxSockets: SOCKETS, timeout: IDLE_MS, scheduling: 'lifo' } as const
  const httpAgent = new HttpAgent(options)
  const httpsAgent = new HttpsAgent(options)
  const plain = httpAgent.createConnection.bind(httpAgent)
  const secure = httpsAgent.createConnection.bind(httpsAgent)
  httpAgent.createConnection = (...args) => watch(plain(...args), 'connect', connectTimeoutMs)
  httpsAgent.createConnection = (...args) => watch(secure(...args), 'secureConnect', connectTimeoutMs)
  return { httpAgent, httpsAgent }
}
