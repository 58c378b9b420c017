import { CallbackParams, CallbackQuery } from '@audience-sync/contracts/rest/connections'
import type { App } from '@audience-sync/service/app'
import { type Context, PLATFORM_TIMEOUT_MS } from '../context.ts'

/** Where platforms send the user's browser. No credential: the state says whose it is. */
export function callbackRoute(app: App, { flow }: Context): void {
  app.get(
    '/v1/oauth/:destination/callback',
    {
      config: { public: true, alsoAnswers: [{ status: 302, description: 'Back to `returnUrl`' }] },
      handlerTimeout: PLATFORM_TIMEOUT_MS,
      schema: {
        tags: ['Connections'],
        summary: 'The platform’s answer to a consent',
        description:
          'Answers 302 to `returnUrl?connection=…&status=active|failed`, with `code` when it failed. 400 `oauth_state_invalid` where no return URL is known.',
        params: CallbackParams,
        querystring: CallbackQuery,
      },
    },
    async (request, reply) => {
      const { state, code, error } = request.query
      const target = await flow.complete(request.params.destination, { state, code, error })
      return reply.header('referrer-policy', 'no-referrer').redirect(target, 302)
    },
  )
}
