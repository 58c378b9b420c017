import { createServer } from 'node:net'
import { freePort } from '@audience-sync/infra/postgres/server'
import { expect, test } from '@jest/globals'
import { demand, isFree, PortTaken, settle } from '../scripts/start/ports.ts'

test('a port that is taken is told for what is promised, and another is found for the rest', async () => {
  const [taken, free] = [await freePort(), await freePort()]
  const other = createServer()
  await new Promise<void>((listening) => other.listen(taken, '127.0.0.1', listening))
  try {
    await expect(demand(taken, 'the twin', 'Stop it.')).rejects.toThrow(PortTaken)
    await expect(demand(taken, 'the twin', 'Stop it.')).rejects.toThrow(`Port ${taken} of 127.0.0.1, for the twin, cannot be listened on`)
    await demand(free, 'the twin', 'Stop it.')
    const settled = await settle({ one: taken, two: free })
    expect(settled.two).toBe(free)
    expect(settled.one).not.toBe(taken)
    expect(await isFree(settled.one)).toBe(true)
  } finally {
    await new Promise((closed) => other.close(closed))
  }
})
