/**
 * Loads drizzle-orm without 240 MB of garbage. For every file that is imported from a package, Node 24 parses the `exports` of that
 * package's package.json anew (`getPackageScopeConfig` copies them) to learn that it is a module; drizzle's has 180 kB of them and some
 * two hundred files, which was more than half of a service's memory and most of its start. What drizzle's modules import from each
 * other needs no such question: they are modules beside them.
 */
import { registerHooks } from 'node:module'

const PACKAGE = '/node_modules/drizzle-orm/'

/** For this process, from now on. */
export function leanImports(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL } = context
      if (!specifier.startsWith('.') || !parentURL?.includes(PACKAGE) || !parentURL.endsWith('.js')) return next(specifier, context)
      return { url: new URL(specifier, parentURL).href, format: 'module', shortCircuit: true }
    },
  })
}
