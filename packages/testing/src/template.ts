/** Name of the migrated database that test files clone. */
export const TEMPLATE = 'audience_sync_template'
