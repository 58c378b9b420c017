/** Who is connected and what was granted: vendors/meta.md §3.3, §3.4. */
import { permissionMissing } from './errors.ts'
import { type NodeType, page, select } from './fields.ts'
import type { Call, Route } from './graph.ts'

const USER: NodeType = { name: 'User', known: new Set(['id', 'name', 'first_name', 'last_name', 'email', 'client_business_id']), byDefault: ['name', 'id'] }

/** `expired`: lapsed for want of use. */
const permissions = ({ params, token, world }: Call) => {
  const { scopes, declined, userId } = token()
  const without = (list: ReadonlySet<string>, status: string) =>
    Array.from(list)
      .filter((permission) => !scopes.has(permission))
      .map((permission) => ({ permission, status }))
  const all = [
    ...Array.from(scopes, (permission) => ({ permission, status: 'granted' })),
    ...without(declined, 'declined'),
    ...without(world.tokens.lapsed(userId), 'expired'),
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

const BUSINESS: NodeType = { name: 'Business', known: new Set(['id', 'name']), byDefault: ['id', 'name'] }

const businesses = ({ params, token, world, url }: Call) => {
  if (!token().scopes.has('business_management')) throw permissionMissing('Requires business_management permission to manage the object')
  world.tokens.use(world.clock.now(), token(), 'business_management')
  const all = new Map(
    Array.from(world.accounts.values(), ({ business }) => business).flatMap((business) => (business === null ? [] : [[business.id, business]])),
  )
  return page(Array.from(all.values()), params, url, (business) => select(business, BUSINESS, params.text('fields')))
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
  { method: 'GET', path: 'me/businesses', family: 'login', params: ['fields', 'limit', 'after', 'before'], handle: businesses },
  { method: 'GET', path: 'me/permissions', family: 'login', params: ['permission', 'status', 'limit', 'after'], handle: permissions },
  { method: 'DELETE', path: 'me/permissions', family: 'login', params: ['permission'], handle: revoke },
]
