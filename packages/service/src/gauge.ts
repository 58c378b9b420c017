/** A figure that goes up and down, as an OpenTelemetry gauge. Without a metric reader in the process it goes nowhere. */
import { metrics } from '@opentelemetry/api'

export type Gauge = (value: number, attributes: Readonly<Record<string, string>>) => void

export function gauge(name: string, description: string): Gauge {
  const made = metrics.getMeter('audience-sync').createGauge(name, { description })
  return (value, attributes) => made.record(value, attributes)
}
