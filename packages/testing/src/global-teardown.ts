export default async function globalTeardown(): Promise<void> {
  for (const stop of globalThis.testInfra?.stops.toReversed() ?? []) await stop()
}
