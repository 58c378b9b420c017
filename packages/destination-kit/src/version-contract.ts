/** How long a version of a platform's API lives, as far as anybody knows. */
export interface VersionLife {
  readonly version: string
  /** Days as `YYYY-MM-DD`; null: not known to this installation. */
  readonly releasedOn: string | null
  readonly endsOn: string | null
  /** The platform has named no end: `endsOn` is what its older versions lived. */
  readonly endIsGuessed: boolean
  /** `unknown`: newer than the adapter was made for. */
  readonly state: 'current' | 'ending' | 'expired' | 'unknown'
  /** For people: what it means and what to do. */
  readonly text: string
}
