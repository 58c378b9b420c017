/** The wire, on loopback: names are answered by a stand-in, receivers misbehave. */
import type { LookupAddress } from 'node:dns'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTcp, type Socket, type Server as TcpServer } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createPoster } from './post.ts'

const servers: (Server | TcpServer)[] = []
const sockets = new Set<Socket>()
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

async function listening(server: Server | TcpServer, host = '127.0.0.1', wanted = 0): Promise<number> {
  servers.push(server)
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(wanted, host, resolve))
  return (server.address() as { port: number }).port
}
const receiver = async (listener: RequestListener) => `http://127.0.0.1:${await listening(createServer(listener))}/hooks?a=1`
const sandbox = createPoster({ rules: { loopback: true } })
const impatient = createPoster({ rules: { loopback: true }, timeoutMs: 2_500 }) // time enough for the half of an answer that does come
const send = (url: string, poster = sandbox) => poster.post(url, { 'webhook-id': 'msg_1' }, '{"n":1}')

describe('what a receiver gets', () => {
  test('the very bytes, as JSON, with the headers, at its path', async () => {
    let seen: unknown
    const url = await receiver((request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += chunk))
      request.on('end', () => {
        seen = { method: request.method, url: request.url, body, id: request.headers['webhook-id'], type: request.headers['content-type'] }
        response.end('thanks')
      })
    })
    expect(await send(url)).toMatchObject({ status: 200, error: null, response: 'thanks', retryAfter: null })
    expect(seen).toEqual({ method: 'POST', url: '/hooks?a=1', body: '{"n":1}', id: 'msg_1', type: 'application/json' })
  })
})

describe('what a receiver may do to us', () => {
  test('a redirect is not followed', async () => {
    let canary = 0
    const inside = await receiver((_request, response) => {
      canary += 1
      response.end()
    })
    const url = await receiver((_request, response) => response.writeHead(307, { location: inside }).end())
    expect(await send(url)).toMatchObject({ status: 307 })
    expect(canary).toBe(0)
  })

  test('one that never answers costs its time, no more', async () => {
    const url = await receiver(() => {})
    expect(await send(url, impatient)).toMatchObject({ status: null, error: 'timeout' })
  })

  test('one that takes the connection and says nothing that is HTTP', async () => {
    const port = await listening(createTcp((socket) => void socket.end('SSH-2.0-OpenSSH_9.9\r\n')))
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ status: null, response: '' })
  })

  test('one that does not speak TLS where it should', async () => {
    const port = await listening(createServer())
    expect(await send(`https://127.0.0.1:${port}/`)).toMatchObject({ status: null, error: 'tls_failed' })
  })

  test('one that hangs up', async () => {
    const port = await listening(createTcp((socket) => void socket.destroy()))
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ status: null, error: 'connection_reset' })
  })

  test('one that is not there', async () => {
    const server = createServer()
    const port = await listening(server)
    await new Promise((resolve) => server.close(resolve))
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ status: null, error: 'connection_refused' })
  })

  test('an answer without end is read up to 16 KiB, and 1,024 characters are shown', async () => {
    let written = 0
    const url = await receiver((_request, response) => {
      const more = () => {
        while (response.writable && written < 64 * 1_024 ** 2) {
          written += 65_536
          if (!response.write('x'.repeat(65_536))) return response.once('drain', more)
        }
        return response
      }
      more()
    })
    const answer = await send(url)
    expect(answer).toMatchObject({ status: 200, error: null })
    expect(answer.response).toHaveLength(1_024)
    expect(written).toBeLessThan(16 * 1_024 ** 2)
  })

  test('a body that stops half-way is what it was; the status counts', async () => {
    const url = await receiver((_request, response) => void response.writeHead(200, { 'content-length': '100' }).write('half'))
    expect(await send(url, impatient)).toMatchObject({ status: 200, response: 'half' })
  })

  test('what it says of people is blotted out, and control characters never reach a terminal', async () => {
    const url = await receiver((_request, response) => response.writeHead(500).end('ann@example.com \u001b[31m\u0000 Bearer abc.def'))
    const { response } = await send(url)
    expect(response).toContain('[address]')
    expect(response).not.toContain('abc.def')
    for (const control of ['\u0000', '\u001b']) expect(response).not.toContain(control)
  })
})

describe('a name that leads inside (F22)', () => {
  const at = (...addresses: string[]): LookupAddress[] => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

  async function canary(wanted = 0) {
    let connections = 0
    const server = createTcp((socket) => {
      connections += 1
      socket.destroy()
    })
    const port = await listening(server, '127.0.0.1', wanted)
    return { port, connections: () => connections }
  }
  const to = (resolve: (host: string) => Promise<LookupAddress[]>) => createPoster({ rules: { loopback: false }, resolve, timeoutMs: 1_000 })

  test('is refused, before anything is connected to, if any of its addresses is forbidden', async () => {
    for (const addresses of [
      at('127.0.0.1'),
      at('93.184.216.34', '127.0.0.1'),
      at('93.184.216.34', '::1'),
      at('::ffff:127.0.0.1'),
      at('169.254.169.254'),
      at(),
    ])
      expect(
        await send(
          'https://rebound.example/',
          to(async () => addresses),
        ),
      ).toMatchObject({ status: null, error: 'address_refused' })
  })

  test('is looked up once an attempt, and the connection goes to what was looked at', async () => {
    let asked = 0
    const server = createServer((_request, response) => response.end('the vetted one'))
    const port = await listening(server, '127.0.0.2')
    const inside = await canary(port)
    // The system's own answer for the name, and a second answer of ours, would both lead to the canary.
    const resolve = async () => at(asked++ === 0 ? '127.0.0.2' : '127.0.0.1')
    const answer = await createPoster({ rules: { loopback: true }, resolve }).post(`http://localhost:${port}/`, {}, '{}')
    expect(answer).toMatchObject({ status: 200, response: 'the vetted one' })
    expect([asked, inside.connections()]).toEqual([1, 0])
  })

  test('an address in place of a name is looked at, too, though nothing is looked up for it', async () => {
    const inside = await canary()
    for (const host of ['127.0.0.1', '2130706433', '[::ffff:127.0.0.1]'])
      expect(
        await send(
          `https://${host}:8443/`,
          to(async () => at('93.184.216.34')),
        ),
      ).toMatchObject({ error: 'address_refused' })
    expect(
      await send(
        `http://127.0.0.1:${inside.port}/`,
        to(async () => []),
      ),
    ).toMatchObject({ error: 'address_refused' })
    expect(inside.connections()).toBe(0)
  })

  test('one that never resolves costs its time, no more', async () => {
    expect(
      await send(
        'https://slow.example/',
        to(() => new Promise(() => {})),
      ),
    ).toMatchObject({ error: 'timeout' })
  })

  test('at registration a forbidden address is refused; a name that does not resolve yet is taken', async () => {
    await expect(to(async () => at('10.0.0.1')).check('https://inside.example/')).rejects.toMatchObject({ code: 'webhook_url_not_allowed' })
    await expect(to(async () => Promise.reject(new Error('ENOTFOUND'))).check('https://later.example/')).resolves.toBeUndefined()
    await expect(to(async () => at('93.184.216.34')).check('https://fine.example/')).resolves.toBeUndefined()
  })
})
