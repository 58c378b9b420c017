/** Writes proto/asyncapi.json from the registry of topics; part of `npm run proto`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { asyncApiDocument } from '@audience-sync/contracts/events/asyncapi'

const document = asyncApiDocument((file) => readFileSync(`proto/${file}.proto`, 'utf8'))
writeFileSync('proto/asyncapi.json', `${JSON.stringify(document, null, 2)}\n`)
