import { writeFileSync } from 'node:fs'
import { startSystem } from '@audience-sync/testing/conductor'

const s = await startSystem({ bus: 'kafka', dataDir: '/tmp/e2e-sys', env: { all: { LOG_LEVEL: 'debug' } } })
writeFileSync('/tmp/e2e-sys/info.json', JSON.stringify({ url: s.url, adminKey: s.adminKey, twin: s.twin.url, dbUrl: s.database.url('audiences') }))
console.log('up')
process.once('SIGTERM', async () => {
  console.log(await s.stop())
  process.exit(0)
})
setInterval(() => {}, 1e6)
