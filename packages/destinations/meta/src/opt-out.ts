/**
 * `DELETE /act_{id}/usersofanyaudience`: out of every customer-file audience of the account (vendors/meta.md §4.4). Meta ignores it without
 * an error for an account of no portfolio, where the terms are unsigned, and where nobody matches. Unsigned terms mean no token (connections
 * refuses it); whom nobody matches is in no audience.
 */
import type { RemoveEverywhere } from '@audience-sync/destination-kit/opt-out-contract'
import { encodeRows } from './encode.ts'
import type { MetaSettings } from './manifest.ts'

export const removeEverywhere = (apiVersion: string): RemoveEverywhere<MetaSettings> => ({
  refusal: ({ businessId }) => (businessId === null ? 'The ad account belongs to no business portfolio.' : null),
  encode: ({ accountExternalId, rows, config }) =>
    encodeRows({ rows, config, session: null }, { method: 'DELETE', path: `/${apiVersion}/act_${accountExternalId}/usersofanyaudience` }),
})
