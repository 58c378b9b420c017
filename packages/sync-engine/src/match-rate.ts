/** The platform's size against ours. Pure. */

/** What the platform counts; undefined where it does not say, or shows the figure that stands for every smaller one. */
export const countedThere = (sizeDestination: number | null, floor = -1): number | undefined =>
  sizeDestination === null || sizeDestination <= floor ? undefined : sizeDestination

/** Platforms round and lag: never above 1, two digits are all that it says. null: one of the two is not known. */
export function matchRate(sizes: { readonly sizeDestination: number | null; readonly sizeEligible: number | null }, floor?: number): number | null {
  const counted = countedThere(sizes.sizeDestination, floor)
  return counted === undefined || !sizes.sizeEligible ? null : Math.min(1, Math.round((counted / sizes.sizeEligible) * 100) / 100)
}
