import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { createLogger } from '@audience-sync/service/log'
import { until } from '@audience-sync/testing/until'
import { expect, test } from '@jest/globals'
import { startVersionWatch } from './version-watch.ts'

const life = (state: 'current' | 'ending') => ({ version: 'v1', releasedOn: '2026-01-01', endsOn: '2026-12-01', endIsGuessed: false, state, text: 'It ends.' })
const manifest = (state: 'current' | 'ending') => ({ id: 'some', versionLife: () => life(state) }) as unknown as Manifest

test('a version that ends is a line in the log as soon as the service starts; one that is served is none', async () => {
  const lines: string[] = []
  const log = createLogger({ name: 'test', level: 'info', destination: { write: (line: string) => lines.push(line) } as never })
  let asked = 0
  const now = () => {
    asked += 1
    return new Date('2026-11-23T12:00:00Z')
  }
  const quiet = startVersionWatch(manifest('current'), log, now)
  await until('it has looked', async () => asked > 0)
  await quiet?.stop()
  expect(lines).toEqual([])
  const loud = startVersionWatch(manifest('ending'), log, now)
  await until('it says so', async () => lines.length > 0)
  await loud?.stop()
  expect(lines.join()).toMatch(/ends/)
})

test('a destination whose versions do not end is not watched', () => {
  expect(startVersionWatch({ id: 'some' } as Manifest, createLogger({ name: 'test', level: 'silent' }))).toBeUndefined()
})
