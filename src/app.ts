import { type EntityManager, IsolationLevel, type MikroORM } from '@mikro-orm/postgresql';
import { Authority } from './access/authority.ts';
import { AlertService } from './alerts/alert.service.ts';
import type { AlertTest } from './alerts/alert-settings.ts';
import { Admission } from './admission.ts';
import { callableBy } from './access/callable.ts';
import { AuditKeys } from './audit/audit.keys.ts';
import { Chains } from './audit/audit.append.ts';
import { AuditService, type Entry, writeEntries } from './audit/audit.service.ts';
import { CredentialService } from './credentials/credential.service.ts';
import { BudgetService } from './budgets/budget.service.ts';
import { CustomerService } from './customers/customer.service.ts';
import type { Reloaded } from './daemon/reload.operations.ts';
import { BodyService } from './callbacks/body.service.ts';
import type { CallbackReport } from './callbacks/callback-settings.ts';
import { OwnerCallbackService } from './callbacks/owner-callback.service.ts';
import type { UserSettings } from './config/user-settings.ts';
import { untilThrough } from './db/again.ts';
import { asDatabaseTrouble } from './db/errors.ts';
import type { Reachability } from './db/reachability.ts';
import type { Change } from './db/notify.ts';
import type { Work } from './db/work.ts';
import { readAsked } from './kernel/change-options.ts';
import type { LiveSource } from './live/live.operations.ts';
import { correctSpend } from './metering/correction.ts';
import type { JournalState } from './metering/journal.ts';
import { Repricer } from './metering/repriced.ts';
import type { Explainer } from './explain/explainer.ts';
import type { Vault } from './kernel/encryption.ts';
import { InvitationService } from './invitations/invitation.service.ts';
import type { Actor, AnyOperation } from './kernel/operation.ts';
import type { TokenTest } from './jwt/token-test.ts';
import { KeyAccess } from './keys/key.access.ts';
import { KeyList } from './keys/key.list.ts';
import { KeyRules, type KeyRuleSettings } from './keys/key.rules.ts';
import { KeyService } from './keys/key.service.ts';
import { MappingService } from './mappings/mapping.service.ts';
import { accessGroupsOf, type Deployment } from './models/deployment.ts';
import { AccessGroupService } from './models/access-group.service.ts';
import { ModelService } from './models/model.service.ts';
import type { PassThroughEndpoint } from './kernel/pass-through.ts';
import { PassThroughService } from './passthroughs/passthrough.service.ts';
import { OrganizationMemberService } from './organizations/member.service.ts';
import { OrganizationService } from './organizations/organization.service.ts';
import { asMissingOwner } from './missing-owner.ts';
import { type Caller, perform, type Request, wasMadeMeanwhile } from './perform.ts';
import { type AskedCache, CacheService } from './response-cache/cache.service.ts';
import type { Priced, ToPrice } from './spend/calculate.operations.ts';
import { RepriceService } from './spend/reprice.service.ts';
import { type SpendReads, spendReads } from './spend/spend.reads.ts';
import { MemberService } from './teams/member.service.ts';
import { TagService } from './tags/tag.service.ts';
import { TeamJoin } from './teams/team.join.ts';
import type { Prices } from './metering/prices.ts';
import { TeamService } from './teams/team.service.ts';
import { UserService } from './users/user.service.ts';

export interface Services {
  readonly now: Date;
  readonly em: EntityManager;
  readonly authority: Authority;
  readonly audit: AuditService;
  readonly budgets: BudgetService;
  readonly customers: CustomerService;
  readonly tags: TagService;
  readonly invitations: InvitationService;
  readonly organizations: OrganizationService;
  readonly organizationMembers: OrganizationMemberService;
  readonly users: UserService;
  readonly teams: TeamService;
  readonly members: MemberService;
  readonly joining: TeamJoin;
  readonly keys: KeyService;
  readonly keyList: KeyList;
  readonly mappings: MappingService;
  readonly models: ModelService;
  readonly accessGroups: AccessGroupService;
  readonly credentials: CredentialService;
  readonly passThroughs: PassThroughService;
  readonly ownerCallbacks: OwnerCallbackService;
  readonly bodies: BodyService;
  readonly callbacks: () => readonly CallbackReport[];
  readonly alerts: AlertService;
  /** Tries the webhooks of alerts; absent beside no daemon. */
  readonly alertTest: AlertTest | undefined;
  readonly spend: SpendReads;
  readonly repricing: RepriceService;
  /** The journal of the daemon here; undefined where it cannot be read. */
  readonly journal: () => JournalState | undefined;
  /** What a call costs, by the prices it would be booked at. */
  readonly priceOf: (asked: ToPrice) => Promise<Priced | undefined>;
  readonly explainer: Pick<Explainer, 'explain'>;
  readonly tokenTest: Pick<TokenTest, 'test'>;
  readonly responseCache: CacheService;
  /** Reads the configuration again; absent beside no daemon. */
  readonly reload: (() => Promise<Reloaded>) | undefined;
  /** What goes on in the daemon; absent beside none. */
  readonly live: LiveSource | undefined;
}

/** What the configuration says: a reload may put something else in its place. */
export interface Configured {
  /** Deployments that are set up outside the database, so that lists show them too. */
  readonly configured: readonly Deployment[];
  /** The same of pass-through endpoints. */
  readonly passThroughs: readonly PassThroughEndpoint[];
  /** What the configuration says of keys. */
  readonly keyRules: KeyRuleSettings;
  /** What a new user has where its maker says nothing, and may join. */
  readonly userDefaults: UserSettings;
}

export interface AppOptions extends Configured {
  readonly orm: MikroORM;
  /** What calls are booked by; asked for by the first operation that shows models. */
  readonly prices: () => Promise<Prices>;
  /** Connections of its pool: operations get half of them. */
  readonly poolSize: number;
  readonly now: () => Date;
  readonly vault: Vault;
  /** Opens the keys that the rows of the audit log are chained with. */
  readonly auditVault: Vault;
  /** What was given to callbacks of teams, and what was asked and answered, is sealed with these. */
  readonly callbackVault: Vault;
  readonly bodyVault: Vault;
  /** Where calls are reported; with counts in a daemon. */
  readonly callbacks: () => readonly CallbackReport[];
  readonly alertTest?: AlertTest | undefined;
  /** Says how calls would be decided: by the counters of a daemon, or without any. */
  readonly explainer: Pick<Explainer, 'explain'>;
  /** Says whom tokens stand for. */
  readonly tokenTest: Pick<TokenTest, 'test'>;
  /** Absent where answers are not cached. */
  readonly responseCache?: AskedCache | undefined;
  readonly reload?: (() => Promise<Reloaded>) | undefined;
  readonly live?: LiveSource | undefined;
  readonly journal: () => JournalState | undefined;
  /** Told of what a committed operation has changed; the caller is answered when it has taken effect here. */
  readonly onChange?: (change: Change) => Promise<void> | void;
  /** Knows when the database is away: nobody waits for it then. */
  readonly reachability?: Reachability | undefined;
}

/**
 * The gateway without any way in: no HTTP, no command line.
 *
 * This is the composition root. Whatever a service needs is handed to it here, in plain sight and in order, and nowhere
 * else is a service made.
 */
export class App {
  #options: AppOptions;
  readonly #chains: Chains;
  #groups: readonly string[];
  readonly #admission: Admission;

  constructor(options: AppOptions) {
    this.#options = options;
    this.#groups = options.configured.flatMap(accessGroupsOf);
    this.#admission = new Admission(options.poolSize);
    this.#chains = new Chains(new AuditKeys(options.auditVault));
  }

  /** From the next operation on this is what the configuration says. */
  reconfigure(configured: Configured): void {
    this.#options = { ...this.#options, ...configured };
    this.#groups = configured.configured.flatMap(accessGroupsOf);
  }

  /**
   * One operation is one unit of work is one transaction, its audit row and its announcement inside it. Takes and gives
   * what travels, so that a caller near and a caller far get the same, errors included.
   */
  async run(operation: AnyOperation<Services>, given: unknown, caller: Caller): Promise<Record<string, unknown>> {
    const request = { operation, given, caller, asked: readAsked(operation, given) };
    try {
      this.#options.reachability?.require();
      return await this.#admission.run(operation, () =>
        untilThrough(() => this.#attempt(request)).catch((thrown: unknown) => {
          if (wasMadeMeanwhile(request.asked, thrown)) return this.#attempt(request);
          throw thrown;
        }),
      );
    } catch (thrown) {
      throw asDatabaseTrouble(asMissingOwner(thrown));
    }
  }

  async #attempt(request: Request): Promise<Record<string, unknown>> {
    const { orm, now, onChange, reachability } = this.#options;
    // Again, for whoever has waited for a turn meanwhile.
    reachability?.require();
    const { operation, asked, caller } = request;
    const changes: Change[] = [];
    const work = async (em: EntityManager) => {
      const { actor, changedBy, requestId, client } = caller;
      const authority = await Authority.of(em, { actor, groups: this.#groups });
      authority.requireOperation(operation);
      return perform(
        request,
        this.#services({ em, now: now(), actor, authority, changedBy, requestId, client, changes }),
      );
    };
    if (asked.isDryRun) return rolledBack(orm.em.fork(), work);
    const isolation = operation.isOfOneMoment ? { isolationLevel: IsolationLevel.REPEATABLE_READ } : {};
    const answer = await orm.em.fork().transactional(work, isolation);
    await Promise.all(changes.map(async (change) => onChange?.(change)));
    return answer;
  }

  /** Something the gateway does by itself, in one transaction as an operation is. */
  async act<T>(actor: Extract<Actor, { type: 'operator' }>, action: (services: Services) => Promise<T>): Promise<T> {
    const { orm, now, onChange } = this.#options;
    const changes: Change[] = [];
    const done = await orm.em.fork().transactional(async (em) => {
      const authority = await Authority.of(em, { actor, groups: this.#groups });
      const services = this.#services({
        em,
        now: now(),
        actor,
        authority,
        changedBy: undefined,
        requestId: undefined,
        client: undefined,
        changes,
      });
      const result = await action(services);
      await services.audit.seal();
      return result;
    });
    await Promise.all(changes.map(async (change) => onChange?.(change)));
    return done;
  }

  /** Writes entries of the audit log that belong to no change, in a transaction of their own. */
  async keep(entries: readonly Entry[]): Promise<void> {
    await this.#options.orm.em.fork().transactional((em) => writeEntries(em, this.#chains, entries));
  }

  #services(work: Work): Services {
    const { vault, configured, keyRules, userDefaults, explainer, tokenTest } = this.#options;
    const audit = new AuditService(work, this.#chains);
    const budgets = new BudgetService(work, audit);
    const organizations = new OrganizationService(work, audit, budgets);
    const organizationMembers = new OrganizationMemberService(work, audit, budgets);
    const users = new UserService(work, { audit, budgets, members: organizationMembers, defaults: userDefaults });
    const teams = new TeamService(work, audit);
    const members = new MemberService(work, { audit, budgets, teams, users });
    const joining = new TeamJoin(work, { users, lookup: teams.lookup, available: userDefaults.availableTeams ?? [] });
    const access = new KeyAccess(work);
    const keys = new KeyService(work, { audit, teams, users, access, rules: new KeyRules(keyRules, work.now) });
    const models = new ModelService(work, {
      audit,
      vault,
      configured,
      catalogue: async () => {
        const prices = await this.#options.prices();
        return (deployment) => prices.known(deployment, work.now);
      },
      mayCall: once(() => callableBy(work.authority, work.actor)),
    });
    return {
      now: work.now,
      em: work.em,
      authority: work.authority,
      audit,
      budgets,
      customers: new CustomerService(work, audit, budgets),
      tags: new TagService(work, audit, budgets),
      invitations: new InvitationService(work, audit),
      organizations,
      organizationMembers,
      users,
      teams,
      members,
      joining,
      keys,
      keyList: new KeyList(work, access, teams),
      mappings: new MappingService(work, audit, keys),
      models,
      accessGroups: new AccessGroupService(models),
      credentials: new CredentialService(work, audit, vault),
      passThroughs: new PassThroughService(work, { audit, vault, configured: this.#options.passThroughs }),
      ownerCallbacks: new OwnerCallbackService(work, { audit, vault: this.#options.callbackVault, teams, keys }),
      bodies: new BodyService(work, { audit, vault: this.#options.bodyVault }),
      callbacks: this.#options.callbacks,
      alerts: new AlertService(work.em),
      alertTest: this.#options.alertTest,
      spend: spendReads,
      repricing: new RepriceService(work, {
        audit,
        repricer: async () => new Repricer(await this.#options.prices(), await models.all()),
        correct: correctSpend,
      }),
      journal: this.#options.journal,
      priceOf: async (asked) => (await import('./answer-cost.ts')).priceAnswer(await this.#options.prices(), asked),
      explainer,
      tokenTest,
      responseCache: new CacheService(work, audit, this.#options.responseCache),
      reload: this.#options.reload,
      live: this.#options.live,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.orm.close();
  }
}

const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
};

/** Does everything up to the commit, and then nothing of it: what was announced in the transaction is not delivered either. */
async function rolledBack<T>(em: EntityManager, work: (em: EntityManager) => Promise<T>): Promise<T> {
  await em.begin();
  try {
    return await work(em);
  } finally {
    await em.rollback();
  }
}
