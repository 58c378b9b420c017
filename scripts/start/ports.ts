/** Where the parts listen: what is promised (the public address, the twin's) is there or the start says why not; the rest gives way. */
import { createServer } from 'node:net'
import { freePort } from '@audience-sync/infra/postgres/server'

const BIND = '127.0.0.1'

/** Its message is all that there is to say. */
export class PortTaken extends Error {}

export const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, BIND, () => server.close(() => resolve(true)))
  })

/** @throws PortTaken */
export async function demand(port: number, what: string, instead: string): Promise<void> {
  if (!(await isFree(port))) throw new PortTaken(`Port ${port} of ${BIND}, for ${what}, cannot be listened on; something else may be there. ${instead}`)
}

/** Each at its usual port, or at any free one where that is taken. */
export async function settle<P extends Readonly<Record<string, number>>>(usual: P): Promise<{ readonly [name in keyof P]: number }> {
  const settled = await Promise.all(Object.entries(usual).map(async ([name, port]) => [name, (await isFree(port)) ? port : await freePort()]))
  return Object.fromEntries(settled)
}
