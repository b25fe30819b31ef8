import { join } from 'node:path';
import { GatewayError } from '../kernel/errors.ts';
import { generateSecret, isMalformed } from '../kernel/secret.ts';
import { keepSecret } from './secret-file.ts';
import type { SettingValues } from './settings.ts';

export interface MasterKey {
  readonly secret: string;
  readonly origin: 'configured' | 'generated' | 'kept';
  /** The file that keeps it: to be told to people, who then read it there. The key itself is never printed. */
  readonly path?: string;
}

const ways =
  'Give one as GATEWAYCTL_MASTER_KEY_FILE (a path), as the systemd credential master-key, as GATEWAYCTL_MASTER_KEY ' +
  'or LITELLM_MASTER_KEY, with --master-key-file, or as general_settings.master_key. ' +
  'A good one: echo "sk-$(openssl rand -hex 32)"';

/**
 * The administrator's key. Only beside the embedded database is one made up and kept: several daemons on one database
 * would each make up their own.
 */
export function resolveMasterKey(
  { masterKey, insecureDevKey }: Pick<SettingValues, 'masterKey' | 'insecureDevKey'>,
  { stateDir, embedded }: { stateDir: string; embedded: boolean },
): MasterKey {
  if (masterKey !== undefined) {
    check(masterKey, insecureDevKey, 'The configured master key');
    return { secret: masterKey, origin: 'configured' };
  }
  if (!embedded) {
    throw new GatewayError('config', 'master_key_missing', 'With a database URL the gateway needs a master key', {
      hint: ways,
    });
  }
  const path = join(stateDir, 'master-key');
  const { text, origin } = keepSecret(path, () => generateSecret('master'));
  check(text, insecureDevKey, `The master key in ${path}`);
  return { secret: text, origin, path };
}

function check(key: string, isWeakAllowed: boolean, what: string): void {
  const fault = formFault(key) ?? (isWeakAllowed ? undefined : weakness(key));
  if (fault) throw new GatewayError('config', 'master_key_refused', `${what} ${fault}`, { hint: ways });
}

function formFault(key: string): string | undefined {
  if (!key.startsWith('sk-')) return 'does not begin with sk-, by which LiteLLM’s clients know a key from a hash';
  if (/[^\x21-\x7e]/.test(key)) return 'has a character that cannot stand in a request header';
  return isMalformed(key)
    ? 'begins like one of ours but its checksum is wrong: a character is missing or mistyped'
    : undefined;
}

/** What documentation, templates and tutorials print in the place of a key. */
const placeholder =
  /^1234|12345|changeme|change[-_]?(me|this|it)|replace[-_]?(me|this)|placeholder|example|your[-_]|password|passw0rd|master[-_]?key|litellm|(my|super|top)[-_]?secret|secret[-_]?key|x{6}|\.{3}|[<>]/i;

/** A key of 16 random characters has more; words, dates and keyboard rows have less. */
const leastBits = 64;

function weakness(key: string): string | undefined {
  // One of our own has 190 random bits, in which any of the words may turn up by chance.
  if (key.startsWith('sk-gwm1_')) return undefined;
  const body = key.slice(3);
  const remedy = '; --insecure-dev-key accepts it for tests';
  if (body.length < 64 && placeholder.test(body)) return `is a published placeholder${remedy}`;
  return entropy(body) < leastBits ? `is too easy to guess${remedy}` : undefined;
}

/** Shannon's bits of the text, not counting characters that only carry on a run (aaaa) or a sequence (abcd, 9876). */
function entropy(text: string): number {
  const counts = new Map<string, number>();
  let counted = 0;
  for (let index = 0; index < text.length; index++) {
    const step = text.charCodeAt(index) - text.charCodeAt(index - 1);
    const before = text.charCodeAt(index - 1) - text.charCodeAt(index - 2);
    if (step === before && Math.abs(step) <= 1) continue;
    counted++;
    counts.set(text.charAt(index), (counts.get(text.charAt(index)) ?? 0) + 1);
  }
  let bits = 0;
  for (const count of counts.values()) bits -= count * Math.log2(count / counted);
  return bits;
}
