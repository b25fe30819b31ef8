import type { DryRunAnswer } from '../kernel/change-options.ts';
import type { AuditChange } from './audit.service.ts';

/**
 * The blast radius of a change: the rows of the audit log it would have written, and how many of each kind. What the caller
 * may not look at is only counted.
 */
export function dryRunOf(recorded: readonly AuditChange[]): DryRunAnswer {
  const counts = new Map<string, DryRunAnswer['counts'][number]>();
  for (const { action, object } of recorded) {
    const kind = `${action} ${object}`;
    counts.set(kind, { action, object_type: object, count: (counts.get(kind)?.count ?? 0) + 1 });
  }
  return {
    dry_run: true,
    changes: recorded
      .filter(({ isHidden }) => !isHidden)
      .map(({ action, object, id, before, after }) => ({
        action,
        object_type: object,
        object_id: id,
        before: before ?? null,
        after: after ?? null,
      })),
    counts: [...counts.values()],
  };
}
