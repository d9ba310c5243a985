/** The pause before the next attempt after so many failed ones in a row, in ms: `firstMs`, doubled with each, `mostMs` at most. */
export const backoffMs = (failures: number, firstMs: number, mostMs: number): number =>
  Math.min(firstMs * 2 ** Math.min(failures - 1, 16), mostMs);
