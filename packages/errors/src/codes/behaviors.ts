/** What can be wrong with behaviors and customers as they come in. */
import { entry } from './entry.ts'

export const behaviors = {
  behavior_unknown: entry(422, 'No such behavior', 'Create the behavior first, or correct the id.'),
  behavior_key_taken: entry(409, 'The key belongs to another behavior', 'Choose another key, or use the behavior that has it.'),
  customer_unknown: entry(404, 'No such customer', 'Send the customer first, or correct the customerId.'),
  customer_empty: entry(
    400,
    'The customer has no identifier',
    'Send at least one identifier, or leave the line out; a customer without any cannot be matched.',
  ),
  occurred_at_in_future: entry(400, 'occurredAt lies in the future', 'Send the time at which it happened, at most 5 minutes ahead of ours.'),
  line_malformed: entry(
    400,
    'A line is not valid JSON or misses a field',
    'Correct the lines named in `errors`; the other lines were stored unless atomic=true.',
  ),
  identifier_unusable: entry(400, 'An identifier cannot be normalised', 'Correct the value; the customer was stored and is matched by the other identifiers.'),
} as const
