import { CallbackParams, Forgetting, ForgettingBegun, ForgettingParams, NoticeForm } from '@audience-sync/contracts/rest/connections'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { z } from 'zod'
import type { Context } from '../context.ts'

/** Where platforms post signed notices. No credential: the signature says who speaks. */
export function noticeRoutes(app: App, { notices, publicUrl }: Context): void {
  app.register(async (plain) => {
    const forms = plain as unknown as App
    forms.removeAllContentTypeParsers()
    forms.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(body as string))),
    )
    const common = { tags: ['Connections'], params: CallbackParams, body: NoticeForm, consumes: ['application/x-www-form-urlencoded'] }

    forms.post(
      '/v1/oauth/:destination/deauthorize',
      {
        config: { public: true },
        schema: {
          ...common,
          summary: 'The platform’s notice that a person took their access back',
          description: 'Signed by the platform. Connections that rest on the consent are `revoked`. 403 `notice_signature_invalid`, and nothing is changed.',
          response: { 200: z.object({ connections: z.int() }) },
        },
      },
      async (request) => ({ connections: await notices.takenBack(request.params.destination, request.body) }),
    )

    forms.post(
      '/v1/oauth/:destination/data-deletion',
      {
        config: { public: true },
        schema: {
          ...common,
          summary: 'The platform’s notice that a person who connected wants to be forgotten',
          description: 'Signed by the platform. Answers where the person can read what became of it.',
          response: { 200: ForgettingBegun },
        },
      },
      async (request) => {
        const { destination } = request.params
        const code = await notices.forget(destination, request.body)
        return { url: `${publicUrl}/v1/oauth/${destination}/data-deletion/${code}`, confirmation_code: code }
      },
    )
  })

  app.get(
    '/v1/oauth/:destination/data-deletion/:code',
    {
      config: { public: true },
      schema: { tags: ['Connections'], summary: 'What became of a wish to be forgotten', params: ForgettingParams, response: { 200: Forgetting } },
    },
    async ({ params: { destination, code } }) => {
      const found = await notices.forgotten(destination, code)
      if (!found) throw new AppError('not_found', 'There is no deletion with this code.')
      return found
    },
  )
}
