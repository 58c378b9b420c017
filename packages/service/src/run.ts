/**
 * The one place where a process ends. `SIGTERM` or `SIGINT` stops what `start` gave, in its own order (not ready → nothing
 * new → finish → release), then tracing; after 30 s (RELIABILITY.md §3.8) it ends anyway.
 * Exit codes: 0 stopped as asked · 1 failed to start, or a fault nobody caught · 2 configuration · 3 did not stop in time.
 */
import { ConfigError } from './config.ts'
import { createLogger, type Logger } from './log.ts'
import { stopTracing } from './tracing.ts'

const STOP_DEADLINE_MS = 30_000

export interface Running {
  readonly name: string
  stop(): Promise<void>
}

export interface RunOptions {
  readonly log?: Logger
  readonly deadlineMs?: number
  /** What signals and ends; the process itself unless given. */
  readonly host?: Pick<NodeJS.Process, 'on' | 'env'> & { exit(code: number): void }
}

/** Starts and stays until a signal. Never throws and never answers before the process is told to end. */
export async function runMain(
  start: (env: NodeJS.ProcessEnv) => Promise<Running>,
  { log = createLogger({ name: 'main', level: process.env.LOG_LEVEL ?? 'info' }), deadlineMs = STOP_DEADLINE_MS, host = process }: RunOptions = {},
): Promise<void> {
  let ending = false
  const started = Promise.resolve().then(() => start(host.env))

  const end = async (code: number) => {
    if (ending) return
    ending = true
    const timer = setTimeout(() => {
      log.fatal('did not stop in time')
      host.exit(3)
    }, deadlineMs)
    const failed = await started
      .then((running) => running.stop())
      .then(
        () => false,
        (error: Error) => {
          log.error(error, 'failed to stop')
          return true
        },
      )
    await stopTracing()
    clearTimeout(timer)
    host.exit(code || (failed ? 1 : 0))
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    host.on(signal, () => {
      log.info({ signal }, 'stopping')
      void end(0)
    })
  }
  const fault = (error: unknown) => {
    log.fatal(error instanceof Error ? error : new Error('not an error was thrown'), 'nobody caught this')
    void end(1)
  }
  host.on('unhandledRejection', fault)
  host.on('uncaughtException', fault)

  try {
    const running = await started
    log.info({ what: running.name }, 'started')
  } catch (error) {
    if (ending) return
    ending = true
    // A configuration error names variables, never values, and its reader sits at a terminal.
    if (error instanceof ConfigError) console.error(error.message)
    else log.fatal(error as Error, 'failed to start')
    await stopTracing()
    host.exit(error instanceof ConfigError ? 2 : 1)
  }
}
