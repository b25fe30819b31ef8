/** Paths that lists of pass-through routes hold: each stands for itself and for what is below it. */
const plain = /^(?:\/[A-Za-z0-9_~.:-]*[A-Za-z0-9_~:-])+$/;

/** Whether an entry can stand in `allowed_passthrough_routes`: a path, without a slash or a `*` at its end. */
export const isPassedPath = (entry: string): boolean => entry.length <= 200 && plain.test(entry);

/**
 * Whether a list lets a path through; an empty one lets all of them. What is below is told by whole segments: `/open` does
 * not stand for `/openai`.
 */
export const letsPassed = (entries: readonly string[], path: string): boolean =>
  entries.length === 0 || coversPassed(entries, path);

/** Whether a path is one of those listed, or below one. */
export const coversPassed = (entries: readonly string[], path: string): boolean =>
  entries.some((entry) => path === entry || path.startsWith(`${entry}/`));
