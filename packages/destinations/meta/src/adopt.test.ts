/** What an audience that somebody else made has to be, before we keep it in step. */
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { describe, expect, test } from '@jest/globals'
import { fakeGraph, testContext } from '../test/fake-graph.ts'
import { adopt, audienceId } from './adopt.ts'
import { createMetaDestination } from './destination.ts'
import { MetaSettings } from './manifest.ts'

const settings = MetaSettings.parse({})
const valued = { ...settings, valueBased: true }
const good = {
  id: '9',
  name: 'Theirs',
  subtype: 'CUSTOM',
  account_id: '77',
  is_value_based: false,
  data_source: { type: 'FILE_IMPORTED', sub_type: 'MULTI_HASHES' },
  permission_for_actions: { can_edit: true },
  operation_status: { code: 200 },
  delivery_status: { code: 200 },
}
const tried = (node: object | null, wanted = settings) => adopt({ accountExternalId: '77' }, node as never, '9', wanted)

describe('adopting', () => {
  test('a list of customers that we may edit is taken, with what Meta says of it', async () => {
    await expect(tried(good)).resolves.toMatchObject({ externalId: '9', name: 'Theirs', state: 'ready' })
    await expect(tried({ ...good, is_value_based: true }, valued)).resolves.toMatchObject({ externalId: '9' })
    // What Meta leaves out is no reason to refuse: only trying tells.
    const { data_source: _, permission_for_actions: __, account_id: ___, ...bare } = good
    await expect(tried(bare)).resolves.toMatchObject({ externalId: '9' })
  })

  test.each([
    ['one that is not there', null, settings, 'audience_missing', /does not exist/],
    ['a lookalike', { ...good, subtype: 'LOOKALIKE' }, settings, 'adopt_kind', /LOOKALIKE/],
    ['one made of events', { ...good, data_source: { type: 'EVENT_BASED' } }, settings, 'adopt_kind', /EVENT_BASED/],
    ['one that may not be edited', { ...good, permission_for_actions: { can_edit: false } }, settings, 'adopt_not_editable', /may not be edited/],
    ['one of another account', { ...good, account_id: '78' }, settings, 'adopt_not_editable', /78/],
    ['a flagged one', { ...good, operation_status: { code: 471 }, fields_violating_integrity_policy: ['name'] }, settings, 'audience_flagged', /for its name/],
    ['a value-based one without values', { ...good, is_value_based: true }, settings, 'adopt_setting', /has to be true/],
    ['a plain one with values', good, valued, 'adopt_setting', /has to be false/],
  ] as const)('%s is refused', async (_what, node, wanted, code, message) => {
    const error: unknown = await tried(node, wanted).catch((thrown: unknown) => thrown)
    expect(error instanceof DestinationError && error.failure).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test.each(['../act_77/customaudiences', 'me', '9?fields=id', 'act_77', ' 9', ''])('%j is no audience’s id: nothing is asked of Meta', async (id) => {
    const http = fakeGraph([])
    const { adoptAudience } = createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http })
    const error: unknown = await adoptAudience?.(testContext(), id, { settings }).catch((thrown: unknown) => thrown)
    expect(error instanceof DestinationError && error.failure.code).toBe('audience_missing')
    expect([http.requests, audienceId.test(id)]).toEqual([[], false])
  })
})
