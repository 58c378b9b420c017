/**
 * A body laid aside on disk until it is known to be good as a whole. Encrypted under a key that only this process holds, in
 * a file that has no name any more: nothing of it outlives the request.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ALGORITHM = 'aes-256-ctr' // the key is never used for another stream
const READ_BYTES = 256 * 1024

export interface Spool {
  /** Passes the body on as it lays it aside. */
  fill(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer>
  /** The body again, once it was passed on whole. */
  read(): AsyncGenerator<Buffer>
  close(): Promise<void>
}

export async function createSpool(): Promise<Spool> {
  const path = join(tmpdir(), `audience-sync-${randomBytes(16).toString('hex')}`)
  const file: FileHandle = await open(path, 'wx+', 0o600)
  await unlink(path)
  const key = randomBytes(32)
  const iv = randomBytes(16)
  return {
    async *fill(body) {
      const cipher = createCipheriv(ALGORITHM, key, iv)
      for await (const chunk of body) {
        await file.write(cipher.update(chunk))
        yield chunk
      }
    },
    async *read() {
      const decipher = createDecipheriv(ALGORITHM, key, iv)
      for (let position = 0; ; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position)
        if (bytesRead === 0) return
        position += bytesRead
        yield decipher.update(buffer.subarray(0, bytesRead))
      }
    },
    close: () => file.close(),
  }
}
