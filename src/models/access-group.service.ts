import { GatewayError } from '../kernel/errors.ts';
import { accessGroupsOf, type Deployment, publicNameOf, teamOf } from './deployment.ts';
import type { ModelService } from './model.service.ts';

export interface AccessGroup {
  readonly name: string;
  readonly models: readonly string[];
  readonly deployments: number;
}

/** Groups of models, as the deployments declare them: a group is whatever names it, and goes with the last that does. */
export class AccessGroupService {
  readonly #models: ModelService;

  constructor(models: ModelService) {
    this.#models = models;
  }

  async list(): Promise<AccessGroup[]> {
    const found = new Map<string, Deployment[]>();
    for (const deployment of await this.#models.all()) {
      for (const group of accessGroupsOf(deployment)) found.set(group, [...(found.get(group) ?? []), deployment]);
    }
    return [...found]
      .map(([name, deployments]) => ({
        name,
        models: [...new Set(deployments.map(publicNameOf))].toSorted(),
        deployments: deployments.length,
      }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }

  async get(name: string): Promise<AccessGroup> {
    const group = (await this.list()).find((each) => each.name === name);
    if (group) return group;
    throw new GatewayError('notFound', 'not_found_error', `No access group "${name}"`, {
      param: 'access_group',
      hint: 'Which groups there are: gatewayctl access-group list',
    });
  }

  async create(name: string, models: readonly string[]): Promise<{ group: AccessGroup; changed: number }> {
    if ((await this.list()).some((each) => each.name === name)) {
      throw new GatewayError('conflict', 'access_group_exists', `Access group ${name} is there already`, {
        param: 'access_group',
        hint: `Change which models it has: gatewayctl access-group update ${name}`,
      });
    }
    return this.#set(name, models);
  }

  /** The group has exactly these models afterwards. */
  async update(name: string, models: readonly string[]): Promise<{ group: AccessGroup; changed: number }> {
    await this.get(name);
    return this.#set(name, models);
  }

  async delete(name: string): Promise<{ group: AccessGroup; changed: number }> {
    const group = await this.get(name);
    return { group, changed: await this.#write(name, new Set()) };
  }

  async #set(name: string, models: readonly string[]): Promise<{ group: AccessGroup; changed: number }> {
    const wanted = new Set(models);
    const changed = await this.#write(name, wanted);
    return { group: await this.get(name), changed };
  }

  /** A group of a team's own model is the team's business, and is left as it is. */
  async #write(name: string, wanted: ReadonlySet<string>): Promise<number> {
    const shared = (await this.#models.all()).filter((deployment) => teamOf(deployment) === undefined);
    const missing = [...wanted].find((model) => !shared.some((deployment) => deployment.name === model));
    if (missing !== undefined) throw noSuchModel(missing);
    const differing = shared.filter(
      (deployment) => accessGroupsOf(deployment).includes(name) !== wanted.has(deployment.name),
    );
    const configured = differing.find(({ source }) => source !== 'database');
    if (configured) throw isConfigured(configured, name);
    for (const { id } of differing.toSorted((one, other) => (one.id < other.id ? -1 : 1))) {
      await this.#models.setGroup(id, name, wanted);
    }
    return differing.length;
  }
}

const noSuchModel = (model: string) =>
  new GatewayError('notFound', 'not_found_error', `No model "${model}"`, {
    param: 'model_names',
    hint: 'A group is made of public names that everybody shares: gatewayctl model list',
  });

const isConfigured = ({ name }: Deployment, group: string) =>
  new GatewayError('conflict', 'model_not_in_database', `Model ${name} is set up in the configuration`, {
    param: 'model_names',
    status: 400,
    hint: `Put ${group} into, or take it out of, model_info.access_groups of its entry in the configuration file, and restart the daemon.`,
  });
