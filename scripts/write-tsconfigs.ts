/**
 * Writes each package's tsconfig.json, and the root's, from the workspace dependencies in its package.json,
 * so that a project reference can never be forgotten. Run it after adding a workspace dependency:
 * `node scripts/write-tsconfigs.ts`.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'

const manifests = globSync([
  'packages/*/package.json',
  'packages/*/*/package.json',
  'services/*/package.json',
  'gateway/package.json',
  'infra/package.json',
  'bench/package.json',
])
  .filter((file) => !file.includes('node_modules'))
  .sort()
const folderOf = new Map<string, string>()
const dependenciesOf = new Map<string, string[]>()
for (const file of manifests) {
  const { name, dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as { name: string; dependencies?: Record<string, string> }
  folderOf.set(name, dirname(file))
  dependenciesOf.set(
    name,
    Object.keys(dependencies).filter((dependency) => dependency.startsWith('@audience-sync/')),
  )
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
for (const [name, folder] of folderOf) {
  const up = relative(folder, '.')
  const references = (dependenciesOf.get(name) ?? []).map((dependency) => ({ path: relative(folder, folderOf.get(dependency) ?? '.') }))
  writeFileSync(
    `${folder}/tsconfig.json`,
    json({
      extends: `${up}/tsconfig.base.json`,
      compilerOptions: { rootDir: 'src', outDir: 'dist', tsBuildInfoFile: 'dist/.tsbuildinfo' },
      include: ['src'],
      exclude: ['src/**/*.test.ts'],
      references,
    }),
  )
}
writeFileSync('tsconfig.json', json({ files: [], references: [...folderOf.values()].map((path) => ({ path })) }))
