/** The made-up destinations keep what every destination has to keep; else what the seam's suite shows on them would prove little. */
import { conformance } from '@audience-sync/destination-kit/conformance'
import type { IdentifierChoice } from '@audience-sync/destination-kit/contract'
import { answersSide } from './destinations/answers.ts'
import { settlesSide } from './destinations/settles.ts'

const choices: IdentifierChoice[][] = [['email', 'phone'], ['email'], ['phone']]

for (const { destination } of [answersSide(), settlesSide()]) {
  const settings = destination.manifest.settings.parse({})
  conformance(destination, { configs: choices.map((identifiers) => ({ identifiers, settings, defaultCountry: 'US' })) })
}
