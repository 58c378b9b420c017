/** Who is connected and what was granted: vendors/meta.md §3.3, §3.4. */
import { type NodeType, select } from './fields.ts'
import type { Call, Route } from './graph.ts'

const USER: NodeType = { name: 'User', known: new Set(['id', 'name', 'first_name', 'last_name', 'email', 'client_business_id']), byDefault: ['name', 'id'] }

const permissions = ({ params, token }: Call) => {
  const { scopes, declined } = token()
  const all = [
    ...Array.from(scopes, (permission) => ({ permission, status: 'granted' })),
    ...Array.from(declined)
      .filter((permission) => !scopes.has(permission))
      .map((permission) => ({ permission, status: 'declined' })),
  ]
  const [permission, status] = [params.text('permission'), params.text('status')]
  return { data: all.filter((one) => (permission ?? one.permission) === one.permission && (status ?? one.status) === one.status) }
}

/** Without a name the app is let go of, and every token of the person dies with subcode 458. */
const revoke = ({ params, token, world }: Call) => {
  const permission = params.text('permission')
  if (permission === undefined) world.tokens.kill({ userId: token().userId }, 458)
  else world.tokens.revoke(token().userId, permission)
  return { success: true }
}

export const peopleRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'me',
    family: 'login',
    params: ['fields'],
    handle: ({ params, token }) => {
      const { userId, type, businessId } = token()
      return select({ id: userId, name: type === 'USER' ? 'Ada Demo' : 'Demo System User', client_business_id: businessId }, USER, params.text('fields'))
    },
  },
  { method: 'GET', path: 'me/permissions', family: 'login', params: ['permission', 'status', 'limit', 'after'], handle: permissions },
  { method: 'DELETE', path: 'me/permissions', family: 'login', params: ['permission'], handle: revoke },
]
