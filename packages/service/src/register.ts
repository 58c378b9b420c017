/** Side effect of `node --import @audience-sync/service/register`: tracing, before anything that is to be traced is loaded. */
import { startTracing } from './tracing.ts'

startTracing(process.env.OTEL_SERVICE_NAME ?? 'audience-sync')
