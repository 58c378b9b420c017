/** A jest reporter: the plain closing line that a CI of any language can read. */
import { mkdirSync, writeFileSync } from 'node:fs'

export default class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites }) {
    const line = `tests: ${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed, ${numPendingTests} skipped`
    mkdirSync('coverage', { recursive: true })
    writeFileSync('coverage/closing-line.txt', `${line}\n`)
    console.error(line)
  }
}
