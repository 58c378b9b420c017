/** What a lookalike can meet, and what its seed must be first. */
import { entry } from './entry.ts'

export const lookalikes = {
  seed_needs_people: entry(
    202,
    'A seed needs more people',
    'Wait for more customers to match the behavior, or combine it with similar ones; lookalikes are made when the seed is large enough.',
  ),
  seed_without_values: entry(
    202,
    'A seed with values finds better customers',
    'Send a `value` with each customer and make the seed value-based; that cannot be changed once it exists.',
  ),
  lookalikes_exist: entry(
    409,
    'Lookalike audiences are built on this audience',
    'Delete them first, or all at once with ?deleteLookalikes=true; those that were made at the platform are deleted there. ?keepRemote=true leaves everything there as it is.',
  ),
  lookalikes_unsupported: entry(409, 'The destination makes no lookalikes', 'Use an audience of another destination as the seed.'),
  lookalike_needs_values: entry(409, 'The seed has no values', 'Make the seed a value-based audience: that cannot be changed once it exists.'),
  lookalike_duplicate: entry(409, 'The seed has a lookalike like this', 'Use that one, or choose another place or ratio.'),
  lookalike_refused: entry(
    409,
    'The platform refuses to make this lookalike',
    'See its own answer: mostly too few people of the seed live in the chosen place, or the account has as many lookalikes as it may. It is tried again by itself.',
  ),
  lookalike_missing: entry(409, 'The lookalike no longer exists at the platform', 'Delete it here, and make it anew if it is needed.'),
  lookalike_of_former_seed: entry(
    409,
    'The lookalike was made of an audience that has been replaced',
    'Ads may go on using it, but it does not follow the audience any more. Make another place or ratio of the audience as it is now, or delete this one (its ads stop) and make it anew.',
  ),
  lookalike_building: entry(202, 'The platform is building the lookalike', 'Nothing to do: it takes some hours. Ads may use it meanwhile.'),
  lookalike_failed: entry(503, 'The platform could not build the lookalike', 'Nothing to do; the platform tries again by itself.'),
  lookalike_inactive: entry(409, 'The lookalike rests because no ad used it', 'Use it in an ad set: the platform then builds it anew.'),
  lookalike_unusable: entry(409, 'The lookalike cannot be used', 'See the platform’s own words for it.'),
  seed_not_exported: entry(202, 'The seed is not at the platform yet', 'Nothing to do but to sync the seed; the lookalike is made after that.'),
  seed_not_ready: entry(202, 'The seed is still being filled', 'Nothing to do; the lookalike is made when the platform has applied everything.'),
  seed_too_small: entry(409, 'The seed has too few people', 'Wait for more customers to match the behavior, or take a larger audience as the seed.'),
  seed_paused: entry(409, 'The seed is paused', 'Resume it: the lookalike is made once the seed is in step again.'),
  seed_flagged: entry(409, 'The platform flagged the seed', 'Rename the seed or appeal at the platform; the lookalike is made when the flag is gone.'),
  seed_disabled: entry(409, 'The platform does not let the seed be used', 'See the platform’s own words for it.'),
} as const
