/**
 * Versioned normalisers over the gateway. Meta has one version, so there is nothing to compare, and that is said; two versions, the
 * report and the migration between them are shown in `services/audiences/test/normalisers.test.ts`.
 */
import { describe, expect, test } from '@jest/globals'
import { filled } from './engine.ts'
import type { Stage } from './stage.ts'

export function engineNormaliser(stage: Stage): void {
  describe('10 Versioned normalisers', () => {
    test('10 Versioned normalisers: a destination with one version has none in shadow, and nobody is said again', async () => {
      const { client, audienceId, look } = await filled(stage, 'normaliser', 3, { minimumSize: 1 })
      const nothing = { status: 409, body: { code: 'normaliser_unknown', solution: expect.any(String) } }
      expect(await client.ask('POST', `/v1/audiences/${audienceId}/normaliser-report`, {})).toMatchObject(nothing)
      expect(await client.ask('POST', '/v1/destinations/meta/normaliser-report', { version: 1 })).toMatchObject(nothing)
      expect((await client.ask('GET', `/v1/audiences/${audienceId}/normaliser-report`)).status).toBe(404)
      const { data } = await client.get(`/v1/audiences/${audienceId}/runs`)
      expect(data).toHaveLength(1)
      expect((await look()).status).toBe('active')
    })
  })
}
