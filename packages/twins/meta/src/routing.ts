/** Which route a Graph path means, and whether its version is alive (vendors/meta.md §0). */
import { accountRoutes } from './accounts.ts'
import { audienceRoutes } from './audience-routes.ts'
import { unknownObject, unknownPath, versionDead } from './errors.ts'
import type { Route } from './graph.ts'
import { oauthRoutes } from './oauth.ts'
import { peopleRoutes } from './people.ts'
import { replaceRoutes } from './replace.ts'
import { userRoutes } from './users.ts'
import { numberOf, type Versions } from './versions.ts'

const ROUTES = [...oauthRoutes, ...peopleRoutes, ...accountRoutes, ...audienceRoutes, ...userRoutes, ...replaceRoutes].map((route) => ({
  route,
  pattern: route.path.split('/'),
}))
/** The oldest Graph version that logins may still name. */
const OLDEST_LOGIN_VERSION = 22

export type Asked = { method: string; path: string; version: string | undefined; parts: readonly string[]; route: Route | undefined }

export const readPath = (method: string, path: string): Asked => {
  const [first, ...rest] = path.split('/').filter((part) => part !== '')
  const versioned = first !== undefined && /^v\d+\.\d+$/.test(first)
  const parts = first === undefined ? [] : versioned ? rest : [first, ...rest]
  const route = ROUTES.find(
    ({ route, pattern }) =>
      route.method === method && pattern.length === parts.length && pattern.every((wanted, position) => fits(wanted, parts[position] ?? '')),
  )
  return { method, path, version: versioned ? first : undefined, parts, route: route?.route }
}

const fits = (wanted: string, part: string): boolean => {
  if (wanted === ':account') return /^act_\d+$/.test(part)
  return wanted === ':audience' ? /^\d+$/.test(part) : wanted === part
}

/**
 * `served` is the version that works on the call, which is not the asked one where that has expired.
 * @throws GraphError 2635 for a dead version or none, 100/33 for an object that nobody has, 2500 for a path that means nothing
 */
export const requireRoute = ({ method, path, version, parts, route }: Asked, versions: Versions): { route: Route; id: string; served: string } => {
  const newest = versions.newest()
  const marketing = route?.family !== 'login'
  if (version === undefined && marketing) throw versionDead('none', newest)
  if (version !== undefined && numberOf(version) > numberOf(newest)) throw unknownPath(path)
  if (version !== undefined && !marketing && numberOf(version) < OLDEST_LOGIN_VERSION) throw versionDead(version, newest)
  const served = version === undefined || !marketing ? (version ?? newest) : versions.serve(version, path)
  if (route !== undefined) return { route, id: parts[0]?.replace(/^act_/, '') ?? '', served }
  const [object = ''] = parts
  throw parts.length === 1 && /^(act_)?\d+$/.test(object) ? unknownObject(object, method) : unknownPath(path)
}
