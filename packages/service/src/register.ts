/** Side effect of `node --import @audience-sync/service/register`: tracing and lean imports, before anything that they concern is loaded. */
import { leanImports } from './lean-imports.ts'
import { startTracing } from './tracing.ts'

startTracing(process.env.OTEL_SERVICE_NAME ?? 'audience-sync')
leanImports()
