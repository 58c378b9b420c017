import type { Person } from '@audience-sync/destination-kit/contract'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { previewRequests } from '@audience-sync/destination-kit/preview'
import { AppError } from '@audience-sync/errors/app-error'
import { describe, expect, test } from '@jest/globals'
import { createMetaDestination } from './destination.ts'

const meta = createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http: { request: () => Promise.reject(new Error('nothing is sent')) } })
const granted = { adUserData: 'granted', adPersonalization: 'granted', crm: 'unspecified', saleShareOptOut: false } as const
const ann: Person = { customerId: 'c_1', identifiers: { email: 'ann@example.com', phone: '0151 1' }, consent: granted }

describe('preview', () => {
  test('shows the request as it would be sent, and what became of each member', () => {
    expect(previewRequests(meta, { operation: 'add', identifiers: ['email', 'phone'], members: [ann] })).toEqual({
      requests: [
        {
          method: 'POST',
          url: 'https://graph.facebook.com/v26.0/{audience}/users',
          headers: { 'content-type': 'application/json' },
          body: {
            payload: { schema: ['EMAIL', 'PHONE'], data: [[sha256('ann@example.com'), '']] },
            session: { session_id: 1, batch_seq: 1, last_batch_flag: true },
          },
        },
      ],
      members: [{ customerId: 'c_1', sent: { EMAIL: sha256('ann@example.com') }, dropped: [{ field: 'phone', code: 'phone_not_e164' }], rejected: null }],
    })
  })

  test('without a choice shows all that Meta takes', () => {
    const { requests } = previewRequests(meta, { operation: 'remove', members: [ann], audienceExternalId: '5', firstSessionId: 9 })
    expect(requests).toMatchObject([{ method: 'DELETE', url: 'https://graph.facebook.com/v26.0/5/users', body: { session: { session_id: 9 } } }])
    const [body] = requests.map((request) => request.body as { payload: { schema: string[] } })
    expect(body?.payload.schema).toHaveLength(14)
  })

  test('whoever may not be sent is rejected with the reason, and removed all the same', () => {
    const denied: Person = { ...ann, consent: { ...granted, adUserData: 'denied' } }
    expect(previewRequests(meta, { operation: 'add', members: [denied] })).toEqual({
      requests: [],
      members: [{ customerId: 'c_1', sent: {}, dropped: [], rejected: 'consent_denied' }],
    })
    expect(previewRequests(meta, { operation: 'remove', members: [denied] }).requests).toHaveLength(1)
  })

  test('with limited data use, who opted out of sale and sharing is sent flagged', () => {
    const out: Person = { ...ann, consent: { ...granted, saleShareOptOut: true } }
    const preview = (settings: object) => previewRequests(meta, { operation: 'add', identifiers: ['email'], settings, members: [out] })
    expect(preview({}).members[0]?.rejected).toBe('opted_out')
    expect(preview({ limitedDataUse: true }).members[0]?.sent).toMatchObject({ DATA_PROCESSING_OPTIONS: 'LDU' })
  })

  test('transformations are applied before anything is hashed; what came hashed is sent as it is, never hashed twice', () => {
    const hashed = sha256('ann@example.com')
    const members: Person[] = [
      { customerId: 'c_1', identifiers: { email: hashed.toUpperCase(), phone: '30 1234567' }, consent: granted },
      { customerId: 'c_2', identifiers: { email: 'bob@example.com', country: 'US' }, consent: granted },
    ]
    const preview = previewRequests(meta, {
      operation: 'add',
      identifiers: ['email', 'phone'],
      members,
      transformations: [
        { type: 'upper', field: 'email' },
        { type: 'suffix', field: 'email', text: '.net' },
        { type: 'defaultCountry', country: 'DE' },
        { type: 'dropPerson', when: { field: 'country', equals: ['US'] } },
      ],
    })
    expect(preview.members).toEqual([
      { customerId: 'c_1', sent: { EMAIL: hashed, PHONE: sha256('49301234567') }, dropped: [], rejected: null },
      { customerId: 'c_2', sent: {}, dropped: [], rejected: 'dropped_by_rule' },
    ])
  })

  test('nobody is sent because of what a rule filled in', () => {
    const nobody: Person = { customerId: 'c_1', identifiers: { email: 'none' }, consent: granted }
    const { members } = previewRequests(meta, { operation: 'add', members: [nobody], transformations: [{ type: 'constant', field: 'country', value: 'DE' }] })
    expect(members).toMatchObject([{ sent: {}, dropped: [{ field: 'email', code: 'email_malformed' }], rejected: 'no_usable_identifier' }])
  })

  test('lanes have sessions of their own, and the batches of one are numbered to the last', () => {
    const members = Array.from({ length: 10_002 }, (_, index) => ({
      ...ann,
      customerId: `c_${index}`,
      identifiers: { email: `a${index}@example.com`, ...(index === 0 && { externalId: 'x' }) },
    }))
    const { requests } = previewRequests(meta, { operation: 'add', identifiers: ['email', 'externalId'], members })
    expect(requests.map(({ body }) => (body as { session: unknown }).session)).toEqual([
      { session_id: 1, batch_seq: 1, last_batch_flag: true },
      { session_id: 2, batch_seq: 1, last_batch_flag: false },
      { session_id: 2, batch_seq: 2, last_batch_flag: true },
    ])
  })

  test('several e-mail addresses are several rows', () => {
    const { requests, members } = previewRequests(meta, {
      operation: 'add',
      identifiers: ['email', 'phone'],
      members: [{ ...ann, identifiers: { emails: ['a@example.com', 'b@example.com'], phone: '+14155550100' } }],
    })
    const [one, other, phone] = ['a@example.com', 'b@example.com', '14155550100'].map(sha256)
    expect(members[0]?.sent).toEqual({ EMAIL: [one, other], PHONE: phone })
    expect(requests).toMatchObject([
      {
        body: {
          payload: {
            data: [
              [one, phone],
              [other, phone],
            ],
          },
        },
      },
    ])
  })

  test('settings that do not fit are refused by name', () => {
    const refused = (settings: object) => {
      try {
        previewRequests(meta, { operation: 'add', settings, members: [] })
      } catch (error) {
        return error instanceof AppError ? [error.code, error.options.extra] : error
      }
    }
    expect(refused({ retentionDays: 181 })).toEqual(['settings_invalid', { errors: [{ path: 'settings.retentionDays', message: expect.any(String) }] }])
    expect(refused({ retention: 1 })).toMatchObject(['settings_invalid', { errors: [{ path: 'settings' }] }])
  })
})
