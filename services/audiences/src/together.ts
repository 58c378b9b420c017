/**
 * A crowd that wants the same thing at the same time. Calls of one key run one after the other, and all that wait while one runs
 * share the next: a hundred callers make two transactions, and each one's begins after its call (SYNC.md C5).
 */
export function together<T>(): (key: string, work: () => Promise<T>) => Promise<T> {
  const lines = new Map<string, { running: Promise<void>; next: Promise<T> | undefined }>()

  function begin(key: string, work: () => Promise<T>): Promise<T> {
    const result = work()
    const line = { running: Promise.resolve(), next: undefined as Promise<T> | undefined }
    const over = () => {
      if (!line.next) lines.delete(key)
    }
    line.running = result.then(over, over)
    lines.set(key, line)
    return result
  }

  return (key, work) => {
    const line = lines.get(key)
    if (!line) return begin(key, work)
    line.next ??= line.running.then(() => begin(key, work))
    return line.next
  }
}
