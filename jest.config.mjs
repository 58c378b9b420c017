// One run at the root, so that coverage is counted once over all packages.
const base = {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['@audience-sync/source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' }],
  },
  modulePathIgnorePatterns: ['/dist/', '/.data/'],
}
const roots = ['packages/*', 'packages/*/*', 'services/*', 'gateway', 'infra', 'bench']

export default {
  coverageProvider: 'v8',
  collectCoverageFrom: ['{packages,services}/**/src/**/*.ts', 'gateway/src/**/*.ts', '!**/*.test.ts', '!**/main.ts', '!**/otel.ts', '!**/gen/**'],
  coverageReporters: ['text-summary', 'json-summary', 'lcovonly'],
  projects: [
    // Pure tests stand beside the code and need nothing.
    { ...base, displayName: 'unit', testMatch: roots.map((root) => `<rootDir>/${root}/src/**/*.test.ts`) },
    // Tests with Postgres, Kafka or twins: the cluster and the broker start once, each file gets a database of its own.
    {
      ...base,
      displayName: 'real',
      testMatch: [...roots.map((root) => `<rootDir>/${root}/test/**/*.test.ts`), '<rootDir>/test/**/*.test.ts'],
      globalSetup: '<rootDir>/packages/testing/src/global-setup.ts',
      globalTeardown: '<rootDir>/packages/testing/src/global-teardown.ts',
    },
  ],
  // Longer than any one wait of a test (`until`), so that a red one says what it waited for.
  testTimeout: 90_000,
  maxWorkers: 2,
  // A worker has nothing left to do within a millisecond, but giving back the heap of dozens of files takes its process more than
  // jest's half second. One that left something open is still named, only later.
  workerGracefulExitTimeout: 15_000,
  testSequencer: '<rootDir>/scripts/longest-first.mjs',
  reporters: ['default', '<rootDir>/scripts/closing-line.mjs'],
}
