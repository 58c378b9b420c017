/** What an audience, its plan or its run can meet: at our routes, and as the reason beside its status. */
import { entry } from './entry.ts'

export const audiences = {
  audience_unknown: entry(422, 'No such audience', 'Correct the audience id.'),
  name_taken: entry(409, 'Another audience of this account has the name', 'Use the name in `suggestion`, or another one.'),
  name_flagged: entry(
    422,
    'The platform may flag the audience for its name',
    'Take out the words that hint at health or money: a flagged audience takes no uploads and stops its ads.',
  ),
  audience_too_small: entry(409, 'Audience too small', 'Wait for more customers to match the behavior, or combine it with a similar one.'),
  audience_held: entry(409, 'The run is held by the brake', 'Look at the figures, then approve the run or cancel it.'),
  audience_paused: entry(409, 'The audience is paused', 'Resume it with POST /v1/audiences/{id}/resume.'),
  earlier_run: entry(409, 'An earlier run of the audience is not over', 'Nothing to do; this one begins when that one has ended.'),
  changes_gathering: entry(409, 'More changes may come in a moment', 'Nothing to do; they are sent together.'),
  audience_deleting: entry(409, 'The audience is being deleted', 'Create a new audience.'),
  audience_missing: entry(
    409,
    'The audience no longer exists at the platform',
    'Make a new one and send everyone again with POST /v1/audiences/{id}/heal, or delete it here. Until then nothing is sent.',
  ),
  audience_not_shown: entry(
    409,
    'The platform does not show us the audience',
    'Give the connection access again and look with POST /v1/audiences/{id}/check; or make a new one with /heal, or delete it here. Until then nothing is sent.',
  ),
  audience_renamed: entry(
    409,
    'The audience was renamed at the platform',
    'Rename it here or there; `drift.renamed` says what to do by itself: restore, accept or report.',
  ),
  audience_expiring: entry(
    409,
    'The platform will delete the audience soon',
    'Use it in an active campaign, or read the platform’s rules on unused audiences.',
  ),
  audience_shrunk: entry(
    409,
    'The audience has become smaller at the platform',
    'Send everyone again with a full refresh, or by itself with `drift.size`: resync. Look into the platform’s own history of the audience.',
  ),
  audience_swollen: entry(
    409,
    'More people are in the audience than were sent',
    'Look at the platform who else adds people to it; removals by us take away only whom we sent.',
  ),
  nothing_to_heal: entry(409, 'There is nothing to heal', 'GET the audience: `drift.findings` says what asks for healing.'),
  audience_flagged: entry(409, 'The platform flagged the audience', 'Rename it or appeal at the platform, then look with POST /v1/audiences/{id}/check.'),
  audience_not_shared: entry(
    409,
    'The audience is not shared with this account',
    'Have its owner share it with the account again, or export the behavior to a new audience.',
  ),
  audience_limit: entry(
    409,
    'The account has as many audiences as the platform allows',
    'Delete audiences that are no longer used, here or at the platform, or export to another account. The figure is in the detail.',
  ),
  setting_fixed: entry(
    409,
    'The platform takes this choice only once',
    'Export the behavior to a new audience with the other choice, use that one in your campaigns, then delete this one.',
  ),
  adopt_kind: entry(
    409,
    'The audience to adopt is of another kind',
    'Adopt an audience that was made from a customer list, or export the behavior to a new audience.',
  ),
  adopt_not_editable: entry(
    409,
    'The audience to adopt may not be edited by this connection',
    'Have its owner let this account edit it, adopt one of the account’s own, or export the behavior to a new audience.',
  ),
  adopt_setting: entry(
    409,
    'The audience to adopt was made with other settings',
    'Change the setting named in the detail to what the audience has, then refresh; or export the behavior to a new audience.',
  ),
  adopted_members_unknown: entry(
    202,
    'Who was in the audience before stays, unknown to us',
    'Nothing to do if that is wanted. If only this behavior’s customers may be in it, export the behavior to a new audience.',
  ),
  exclusion_only: entry(202, 'The audience can only be excluded', 'Exclude it in ad sets; the platform refuses to target it.'),
  audience_update_refused: entry(
    409,
    'The platform refuses changes to this audience',
    'See the platform’s own answer. An audience that another tool filled in another form takes no rows from us: export the behavior to a new audience.',
  ),
  audience_disabled: entry(
    409,
    'The audience is disabled at the platform',
    'See the platform’s own answer; POST /v1/audiences/{id}/heal makes a new audience in its place.',
  ),
  settings_invalid: entry(
    400,
    'The destination refuses these settings',
    'Correct the settings named in `errors`; GET /v1/destinations/{destination} has their schema.',
  ),
  replacement_finished: entry(409, 'The platform has finished replacing the list', 'Nothing to do: whoever was not in it yet is added one by one.'),
  replacement_failed: entry(
    409,
    'The platform did not finish replacing the list',
    'Nothing to do: everyone is looked at again, and added or removed one by one.',
  ),
  removal_refused: entry(
    409,
    'The platform refuses to shrink the audience that far',
    'Nothing is lost: these people are removed as soon as the audience has grown. Or refresh it in full, so that its whole list is replaced, or delete it. Opt-outs are removed from the whole account.',
  ),
  run_not_held: entry(409, 'No run of this audience is held', 'Nothing needs approval.'),
  run_finished: entry(409, 'The run has already ended', 'Start a new run with refresh.'),
  normaliser_unknown: entry(
    409,
    'There is no such normaliser to look at',
    'Use one of `versions`; where the destination has only one, there is nothing to compare.',
  ),
  plan_stale: entry(409, 'What the plan rests on has changed', 'Make a new plan.'),
  plan_expired: entry(410, 'The plan has expired', 'Make a new plan.'),
} as const
