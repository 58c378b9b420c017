import { createMetaConnect } from '@audience-sync/destination-meta/connect'
import { expect, test } from '@jest/globals'
import fastify from 'fastify'
import { registerOAuth } from './authorize-url.ts'

const REDIRECT = 'https://api.example.com/v1/oauth/meta/callback'
const app = { dialogBaseUrl: 'https://www.facebook.com', graphBaseUrl: 'https://graph.facebook.com', appId: '42', appSecret: 'never-shown' }

// The plugin composes it, the adapter knows it: the two may not differ by a single parameter (vendors/meta.md §3.1).
test.each([
  ['the classic dialog', {}],
  ['Facebook Login for Business, which takes no scope', { configId: '1000000000000100' }],
])('the authorization URL is the one of %s', async (_what, more) => {
  const adapter = createMetaConnect({ ...app, ...more })
  const authorizeUrl = await registerOAuth(fastify(), new Map([['meta', adapter]]), () => REDIRECT)
  const made = new URL(await authorizeUrl('meta', 'state-1'))
  const known = new URL(adapter.authorizeUrl({ state: 'state-1', redirectUri: REDIRECT }))
  expect(made.origin + made.pathname).toBe(known.origin + known.pathname)
  expect(Object.fromEntries(made.searchParams)).toEqual(Object.fromEntries(known.searchParams))
  expect(made.href).not.toContain('never-shown')
})
