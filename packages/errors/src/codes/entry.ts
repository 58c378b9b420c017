/** One line of the catalogue. */
export interface CatalogueEntry {
  /** Of HTTP. 202: nothing is wrong, somebody should know. */
  readonly status: number
  readonly title: string
  /** What to do, as an order. */
  readonly solution: string
}

export const entry = (status: number, title: string, solution: string): CatalogueEntry => ({ status, title, solution })
