/**
 * The order of test files. The end-to-end file takes the longest and spends much of it waiting, so it begins first and the others fill
 * its waits; then the files with a database, the largest first; the pure ones, which take milliseconds, last. Jest's own order knows
 * durations from an earlier run only, and a fresh clone had none.
 */
import { statSync } from 'node:fs'

const rank = (path) => (/\/test\/e2e[^/]*\.test\.ts$/.test(path) ? 0 : path.includes('/test/') ? 1 : 2)

export default class LongestFirst {
  sort(tests) {
    return tests
      .map((test) => ({ test, rank: rank(test.path), size: statSync(test.path).size }))
      .sort((a, b) => a.rank - b.rank || b.size - a.size)
      .map(({ test }) => test)
  }

  shard(tests, { shardIndex, shardCount }) {
    return this.sort(tests).filter((_, index) => index % shardCount === shardIndex - 1)
  }

  allFailedTests(tests) {
    return tests
  }

  cacheResults() {}
}
