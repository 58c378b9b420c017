import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { until } from '@audience-sync/testing/until'
import { afterEach, describe, expect, test } from '@jest/globals'

const REGISTER = fileURLToPath(new URL('../src/register.ts', import.meta.url))
const FIXTURE = fileURLToPath(new URL('./fixtures/traced.ts', import.meta.url))
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const STORED = `00-${TRACE}-b7ad6b7169203331-01`

type Line = Record<string, string | undefined>
let child: ChildProcess | undefined
afterEach(() => {
  child?.kill('SIGKILL')
})

/** Runs the fixture until it has started, stops it, and gives its log and exit code. */
async function run(env: Record<string, string>, traced = true): Promise<{ lines: Line[]; text: string; code: number | null; stopMs: number }> {
  const args = ['--conditions=@audience-sync/source', ...(traced ? ['--import', REGISTER] : []), FIXTURE]
  const process_ = spawn(process.execPath, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  child = process_
  let text = ''
  process_.stdout.on('data', (chunk) => (text += String(chunk)))
  process_.stderr.on('data', (chunk) => (text += String(chunk)))
  await until('it has started', () => text.includes('"msg":"started"') || process_.exitCode !== null)
  const startedAt = performance.now()
  process_.kill('SIGTERM')
  await until('it has ended', () => process_.exitCode !== null)
  const lines = text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []))
  return { lines, text, code: process_.exitCode, stopMs: performance.now() - startedAt }
}

const answered = (lines: Line[], service: string) => lines.find((line) => line.service === service && line.msg === 'answered')
const far = (lines: Line[]) => lines.find(({ msg }) => msg === 'answered from afar')

describe('a trace', () => {
  test('that was stored goes on over each HTTP call, the last one to a platform, and shows in the lines of all parts', async () => {
    const { lines, text, code } = await run({ STORED_TRACEPARENT: STORED })
    const header = expect.stringMatching(`^00-${TRACE}-[0-9a-f]{16}-01$`)
    expect([text, code]).toEqual([expect.any(String), 0])
    expect(far(lines)).toMatchObject({ trace_id: TRACE, what: TRACE, why: header, cause: header })
    expect(answered(lines, 'audiences')).toMatchObject({ trace_id: TRACE, status: 200 })
    expect(answered(lines, 'connections')).toMatchObject({ trace_id: TRACE, status: 200 })
  })

  test('is a new one where none was stored', async () => {
    const { lines } = await run({ STORED_TRACEPARENT: 'nonsense' })
    const id = far(lines)?.trace_id
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(id).not.toBe(TRACE)
    expect(answered(lines, 'connections')?.trace_id).toBe(id)
  })

  test('does not exist without `register`, and nothing minds', async () => {
    const { lines, code } = await run({ STORED_TRACEPARENT: STORED }, false)
    expect(code).toBe(0)
    expect(answered(lines, 'connections')).toMatchObject({ status: 200 })
    expect(lines.every(({ trace_id }) => trace_id === undefined)).toBe(true)
  })
})

describe('spans', () => {
  test('go to a collector where there is one, without queries and credentials', async () => {
    const bodies: Buffer[] = []
    const collector = createServer(async (request, response) => {
      for await (const chunk of request) bodies.push(chunk as Buffer)
      response.end('{}')
    })
    await new Promise<void>((resolve) => void collector.listen(0, '127.0.0.1', resolve))
    try {
      const { code } = await run({
        STORED_TRACEPARENT: STORED,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        OTEL_SERVICE_NAME: 'traced',
      })
      expect(code).toBe(0)
      const sent = Buffer.concat(bodies).toString()
      expect(sent).toContain(TRACE)
      expect(sent).toContain('worker.step')
      expect(sent).toContain('/internal/v1/trace')
      expect(sent).not.toMatch(/access_token|canary|bearer|fixtures/i)
    } finally {
      collector.close()
    }
  })

  test('that nobody collects do not hold up the end', async () => {
    const { code, stopMs } = await run({ STORED_TRACEPARENT: STORED, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })
    expect(code).toBe(0)
    expect(stopMs).toBeLessThan(8_000) // two seconds and what a busy machine adds; the exporter itself would try for ten
  })
})
