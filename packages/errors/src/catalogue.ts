/**
 * Every code a caller can meet, with the HTTP status, a title and what to do (R8). Data only; `GET /v1/errors` answers it.
 * Codes are stable: they are added, never renamed. Each stands in the file of whom it is said of.
 */
import { audiences } from './codes/audiences.ts'
import { behaviors } from './codes/behaviors.ts'
import { connections } from './codes/connections.ts'
import type { CatalogueEntry } from './codes/entry.ts'
import { lookalikes } from './codes/lookalikes.ts'
import { people } from './codes/people.ts'
import { platform } from './codes/platform.ts'
import { proofs } from './codes/proofs.ts'
import { request } from './codes/request.ts'
import { webhooks } from './codes/webhooks.ts'

export const catalogue = {
  ...request,
  ...behaviors,
  ...connections,
  ...audiences,
  ...lookalikes,
  ...platform,
  ...people,
  ...proofs,
  ...webhooks,
} satisfies Record<string, CatalogueEntry>

export type Code = keyof typeof catalogue

export const isCode = (code: string): code is Code => Object.hasOwn(catalogue, code)
