/** For how long what a daemon holds of a limit is kept for it after it was last heard of. */
export const rateLifeMs = 15_000;

/** What a daemon says of one limit, and asks for. */
export interface RateWanted {
  /** The same for all daemons. */
  readonly name: string;
  /** What there may be in a minute, or at once. */
  readonly most: number;
  /** Whether what was used counts for a minute, and not only while it is in use. */
  readonly isWindow: boolean;
  /** Who has counted what was said before; absent when nothing was. */
  readonly generation: string | undefined;
  /** What was used of what is held: when, on the clock that only goes forward, and how much. Less than nothing takes back what was said before. */
  readonly uses: readonly (readonly [atMs: number, amount: number])[];
  /** What is given back. */
  readonly gift: number;
  /** What is held for as long as it is in use. */
  readonly inUse: number;
  /** How much must be free here, or nothing is taken. */
  readonly need: number;
  /** What all who wait could use. */
  readonly want: number;
  /** How much should be free here, where there is plenty. */
  readonly target: number;
}

export interface RateGranted {
  readonly generation: string;
  /** Somebody else has counted before: nothing was done. */
  readonly isStranger: boolean;
  /** What this daemon holds from now on. */
  readonly own: number;
  /** What nobody holds and nobody has used. */
  readonly room: number;
  /** What other daemons hold. */
  readonly others: number;
  /** Milliseconds until there is room for what was needed. */
  readonly waitMs: number;
}

/** Where the daemons of one database count together. */
export interface RateStore {
  readonly name: 'redis' | 'postgresql';
  /** In the order of what is wanted. */
  exchange(wanted: readonly RateWanted[]): Promise<readonly RateGranted[]>;
}
