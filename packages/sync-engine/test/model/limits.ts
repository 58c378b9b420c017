/** Small, so that a handful of people is several calls and pages. */
export const LIMIT = 2
export const PAGE = 2
