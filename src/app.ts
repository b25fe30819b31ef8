import { ForeignKeyConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { Authority } from './access/authority.ts';
import { AuditEntry } from './audit/audit.entity.ts';
import { AuditService } from './audit/audit.service.ts';
import { asDatabaseTrouble } from './db/errors.ts';
import { openOrm } from './db/orm.ts';
import type { Change } from './db/notify.ts';
import type { Work } from './db/work.ts';
import type { Vault } from './kernel/encryption.ts';
import { GatewayError } from './kernel/errors.ts';
import type { Actor, AnyOperation } from './kernel/operation.ts';
import { read } from './kernel/wire.ts';
import { KeyAccess } from './keys/key.access.ts';
import { DeletedKey, Key, RetiredToken } from './keys/key.entity.ts';
import { KeyList } from './keys/key.list.ts';
import { KeyRules, type KeyRuleSettings } from './keys/key.rules.ts';
import { KeyService } from './keys/key.service.ts';
import type { Deployment } from './models/deployment.ts';
import { Model } from './models/model.entity.ts';
import { ModelService } from './models/model.service.ts';
import { Organization } from './organizations/organization.entity.ts';
import type { SpendReads } from './spend/spend.operations.ts';
import { spendRows, spendSums } from './spend/spend.queries.ts';
import { Team, TeamMember } from './teams/team.entity.ts';
import { TeamService } from './teams/team.service.ts';
import { User } from './users/user.entity.ts';
import { UserService } from './users/user.service.ts';

export interface Services {
  readonly now: Date;
  readonly em: EntityManager;
  readonly audit: AuditService;
  readonly users: UserService;
  readonly teams: TeamService;
  readonly keys: KeyService;
  readonly keyList: KeyList;
  readonly models: ModelService;
  readonly spend: SpendReads;
}

export interface AppOptions {
  readonly orm: MikroORM;
  readonly now: () => Date;
  readonly vault: Vault;
  /** Deployments that are set up outside the database, so that lists show them too. */
  readonly configured: readonly Deployment[];
  /** What the configuration says of keys. */
  readonly keyRules: KeyRuleSettings;
  /** Told of what a committed operation has changed; the caller is answered when it has taken effect here. */
  readonly onChange?: (change: Change) => Promise<void> | void;
}

/** Opens the database with everything the gateway keeps in it. */
export function openGatewayOrm(url: string, poolSize: number, applicationName: string): Promise<MikroORM> {
  const entities = [Organization, User, Team, TeamMember, Key, RetiredToken, DeletedKey, Model, AuditEntry];
  return openOrm({ url, entities, poolSize, applicationName });
}

/**
 * The gateway without any way in: no HTTP, no command line.
 *
 * This is the composition root. Whatever a service needs is handed to it here, in plain sight and in order, and nowhere
 * else is a service made.
 */
export class App {
  readonly #options: AppOptions;

  constructor(options: AppOptions) {
    this.#options = options;
  }

  /**
   * One operation is one unit of work is one transaction, its audit row and its announcement inside it. Takes and gives
   * what travels, so that a caller near and a caller far get the same, errors included.
   */
  async run(
    operation: AnyOperation<Services>,
    given: unknown,
    caller: { readonly actor: Actor; readonly changedBy?: string | undefined },
  ): Promise<Record<string, unknown>> {
    const { orm, now, onChange } = this.#options;
    const changes: Change[] = [];
    try {
      const output = await orm.em.fork().transactional(async (em) => {
        const authority = await Authority.of(em, caller.actor);
        authority.requireOperation(operation);
        const input: unknown = read(operation.input, given, operation.unserved);
        const work = { em, now: now(), actor: caller.actor, authority, changedBy: caller.changedBy, changes };
        return operation.run(this.#services(work), input, caller.actor);
      });
      await Promise.all(changes.map(async (change) => onChange?.(change)));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what an output schema encodes is JSON
      return operation.output.encode(output) as Record<string, unknown>;
    } catch (thrown) {
      throw asDatabaseTrouble(asMissingOwner(thrown));
    }
  }

  /** Something the gateway does by itself, in one transaction as an operation is. */
  async act<T>(actor: Extract<Actor, { type: 'operator' }>, action: (services: Services) => Promise<T>): Promise<T> {
    const { orm, now, onChange } = this.#options;
    const changes: Change[] = [];
    const done = await orm.em.fork().transactional(async (em) => {
      const authority = await Authority.of(em, actor);
      return action(this.#services({ em, now: now(), actor, authority, changedBy: undefined, changes }));
    });
    await Promise.all(changes.map(async (change) => onChange?.(change)));
    return done;
  }

  #services(work: Work): Services {
    const { vault, configured, keyRules } = this.#options;
    const audit = new AuditService(work);
    const users = new UserService(work, audit);
    const teams = new TeamService(work, audit);
    const access = new KeyAccess(work);
    const keys = new KeyService(work, { audit, teams, users, access, rules: new KeyRules(keyRules, work.now) });
    const models = new ModelService(work, audit, vault, configured);
    return {
      now: work.now,
      em: work.em,
      audit,
      users,
      teams,
      keys,
      keyList: new KeyList(work, access, teams),
      models,
      spend: { rows: spendRows, sums: spendSums },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.orm.close();
  }
}

/** A row that names an owner who is not there. The database is asked, not the code before it, so that no race is lost. */
function asMissingOwner(thrown: unknown): unknown {
  if (!(thrown instanceof ForeignKeyConstraintViolationException)) return thrown;
  const column = /constraint "[a-z]+_([a-z]+_id)_fkey"/.exec(thrown.message)?.[1];
  const owner = column?.replace('_id', '') ?? 'object';
  return /is still referenced/.test(thrown.message)
    ? new GatewayError('conflict', 'still_in_use', 'Something still refers to it', { cause: thrown })
    : new GatewayError('notFound', 'not_found_error', `No such ${owner}`, { param: column, cause: thrown });
}
