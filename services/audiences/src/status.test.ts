import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { describe, expect, test } from '@jest/globals'
import { standingOf } from './status.ts'

const at = new Date('2026-11-23T10:00:00Z')
const until = new Date('2026-11-23T11:00:00Z')
const audience = (fields: Partial<AudienceRow>) =>
  ({ status: 'active', statusReason: null, statusSince: at, externalId: '1', missing: null, settleAt: null, tooSmall: false, ...fields }) as AudienceRow
const run = (status: string, fields: Partial<RunRow> = {}) =>
  ({ status, requestedAt: at, startedAt: at, notBefore: null, waitReason: null, ...fields }) as RunRow
const held = run('held')
const queued = run('queued')
const REFUSED = audience({ status: 'held', statusReason: { code: 'removal_refused' }, shrinkRefused: { code: 'removal_refused' } })

describe('the status of an audience', () => {
  test.each<[string, string, string | undefined, AudienceRow, RunRow[]]>([
    ['in step', 'active', undefined, audience({}), []],
    ['not applied yet', 'pending', undefined, audience({ status: 'pending' }), []],
    ['a run was just asked for', 'syncing', undefined, audience({}), [queued]],
    ['deleting wins over all', 'deleting', undefined, audience({ deleteRequestedAt: at, pausedAt: at, tooSmall: true }), [held]],
    ['paused by a user', 'paused', 'audience_paused', audience({ pausedAt: at, pauseReason: { code: 'audience_paused', detail: 'sale' } }), [queued]],
    ['held by the brake', 'held', 'audience_held', audience({ tooSmall: true }), [held, queued]],
    ['missing at the platform', 'held', 'audience_missing', audience({ missing: { code: 'audience_missing' }, healRequestedAt: null }), [queued]],
    ['a new one is on its way', 'syncing', undefined, audience({ missing: { code: 'audience_missing' }, healRequestedAt: at }), [queued]],
    ['too small', 'paused', 'audience_too_small', audience({ tooSmall: true }), [queued]],
    [
      'waiting for the quota',
      'rate_limited',
      'platform_throttled',
      audience({}),
      [run('waiting', { waitReason: { code: 'platform_throttled' }, notBefore: until })],
    ],
    [
      'waiting for an account that the platform has blocked',
      'rate_limited',
      'platform_blocked',
      audience({}),
      [run('waiting', { waitReason: { code: 'platform_blocked' }, notBefore: until })],
    ],
    ['waiting for the platform', 'syncing', undefined, audience({}), [run('waiting', { waitReason: { code: 'destination_unavailable' }, notBefore: until })]],
    [
      'waiting for a person, without end',
      'error',
      'connection_expired',
      audience({}),
      [run('waiting', { waitReason: { code: 'connection_expired' }, notBefore: new Date(Number.NaN) })],
    ],
    [
      'a refresh while the connection is dead',
      'error',
      'connection_expired',
      audience({ status: 'error', statusReason: { code: 'connection_expired' } }),
      [queued],
    ],
    ['a refresh after a failed run', 'syncing', undefined, audience({ status: 'error', statusReason: { code: 'audience_missing' } }), [queued]],
    ['a refused removal, tried again later', 'held', 'removal_refused', REFUSED, [run('queued', { trigger: 'heal' })]],
    ['a refresh after a refused removal', 'syncing', undefined, REFUSED, [run('queued', { trigger: 'api' })]],
    ['what a run wrote that has ended since', 'active', undefined, audience({ status: 'held', statusReason: { code: 'audience_held' } }), []],
    ['a code that the catalogue lacks', 'error', 'strange', audience({ status: 'error', statusReason: { code: 'strange' } }), []],
  ])('%s', (_what, status, code, row, open) => {
    const standing = standingOf(row, open)
    expect([standing.status, standing.reason?.code]).toEqual([status, code])
  })

  test('a reason says since when, until when, and what to do', () => {
    const { reason } = standingOf(audience({}), [run('waiting', { waitReason: { code: 'platform_throttled', detail: 'half an hour' }, notBefore: until })])
    expect(reason).toEqual({
      code: 'platform_throttled',
      title: expect.any(String),
      solution: expect.any(String),
      detail: 'half an hour',
      since: at.toISOString(),
      until: until.toISOString(),
    })
  })
})
