import type { Destination } from '@audience-sync/destination-kit/contract'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { describe, expect, test } from '@jest/globals'
import { byId, describe as shown, withMinimums } from './destinations.ts'

const meta = createMetaDestination({ baseUrl: 'http://127.0.0.1:9' }) as Destination

describe('minimum sizes of an installation', () => {
  test('take the place of the destination’s own, in the catalogue and for new audiences', () => {
    const one = byId(withMinimums([meta], { meta: 250 })).get('meta') as Destination
    expect(shown(one).minimumSize).toBe(250)
    expect(meta.manifest.minimumSize).toBe(100)
  })

  test('without one the destination’s own counts; one for nobody is a mistake that stops the start', () => {
    expect(withMinimums([meta], {})[0]?.manifest.minimumSize).toBe(100)
    expect(() => withMinimums([meta], { mata: 5 })).toThrow('mata')
  })
})

describe('sizes and names as PRODUCT.md advises', () => {
  const bandOf = (size: number) => shown(meta).sizeBands.find(({ upTo }) => upTo === null || size <= upTo)

  test.each([
    [999, 'too_small', true],
    [1_000, 'ideal', false],
    [50_000, 'ideal', false],
    [50_001, 'large', false],
  ])('%s people are %s; limited reach: %s', (size, band, limitedReach) => {
    expect(bandOf(size)).toMatchObject({ band, limitedReach })
  })

  test('a small one is told to combine behaviors or use lookalikes, a large one to be split; names have behavior, date and purpose', () => {
    expect(bandOf(5)?.text).toMatch(/combin.*lookalikes/i)
    expect(bandOf(10 ** 6)?.text).toMatch(/split/i)
    expect(shown(meta).minimumSize).toBe(100)
    const examples = shown(meta)
      .names.advice.map(({ example }) => example)
      .join()
    for (const template of ['{behavior}', '{quarter}', '{date}', '{purpose}']) expect(examples).toContain(template)
  })
})
