import { GatewayError } from '../kernel/errors.ts';
import type { Region } from '../kernel/region.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Payer } from './payers.ts';

/** `eu` itself, and what providers call their places there: `eu-west-1`, `europe-west4`, `us-east-1`. */
const names: Readonly<Record<Region, RegExp>> = { eu: /^eu(?:rope)?(?![a-z])/i, us: /^us(?![a-z])/i };

/** Where a call for them may be worked on. */
export const regionOf = (payers: readonly Pick<Payer, 'region'>[]): Region | undefined =>
  payers.find(({ region }) => region !== undefined)?.region;

const isIn = ({ params }: Pick<Deployment, 'params'>, region: Region): boolean =>
  typeof params['region_name'] === 'string' && names[region].test(params['region_name']);

/**
 * The deployments that are in a region by their `region_name`. One of which nobody has said where it is, is nowhere.
 *
 * @throws GatewayError 403 when there is none
 */
export function withinRegion(
  deployments: readonly Deployment[],
  { model, region }: { readonly model: string; readonly region: Region | undefined },
): readonly Deployment[] {
  if (region === undefined) return deployments;
  const within = deployments.filter((each) => isIn(each, region));
  if (within.length > 0) return within;
  throw new GatewayError(
    'forbidden',
    'no_deployments_in_region',
    `No deployment of model ${model} is in region ${region}, to which this customer is held`,
    { param: 'user', hint: 'Ask for another model, or give a deployment in that region its region_name.' },
  );
}

/** The same of a call that is passed on as it is: where it is worked on is the upstream's affair. */
export function refuseElsewhere(region: Region | undefined): void {
  if (region === undefined) return;
  throw new GatewayError(
    'forbidden',
    'no_deployments_in_region',
    `This customer is held to region ${region}, and where a call goes that is passed on as it is nobody knows`,
    { param: 'user', hint: 'Call a model of the gateway that has a deployment in that region.' },
  );
}
