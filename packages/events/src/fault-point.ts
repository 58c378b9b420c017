/**
 * Named places where a test lets the process die (RELIABILITY.md, harness). `FAULT_POINT=relay.after_ack:3` kills this process
 * by SIGKILL the third time that it comes by. Without the variable a call costs one comparison.
 */
const [name, nth = '1'] = (process.env.FAULT_POINT ?? '').split(':')
let left = Number(nth)

export function faultPoint(here: string): void {
  if (here !== name) return
  left -= 1
  if (left === 0) process.kill(process.pid, 'SIGKILL')
}
