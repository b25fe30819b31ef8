import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { isRecord } from '../kernel/record.ts';
import { clampUsage, type Usage } from '../metering/usage.ts';

/** An answer as it was given, to be given again. */
export interface KeptAnswer {
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  readonly contentType: string;
  /** What the upstream counted; the row of a hit shows it. */
  readonly usage: Usage | undefined;
  readonly body: Buffer;
}

const nonceBytes = 12;
const tagBytes = 16;
const lengthBytes = 4;
const shape = /^[\w-]*$/;

/** `a` was the only format so far. A daemon of another version takes what it does not know for nothing. */
const version = 'a.';

/**
 * Names and seals answers. What models wrote passes through a Redis that others may read and write: it is encrypted, and
 * bound to its name, so that nobody can put one answer in the place of another. Names are keyed hashes: a caller sees
 * them, and must not be able to try out what others have asked.
 */
export class AnswerSeal {
  readonly #nameKey: Buffer;
  readonly #key: Buffer;

  /** @param secret known to every daemon of one database and to nobody else */
  constructor(secret: Buffer | string) {
    this.#nameKey = derive(secret, 'gatewayctl response-cache name');
    this.#key = derive(secret, 'gatewayctl response-cache');
  }

  /** 64 hexadecimal digits. */
  nameOf(parts: readonly string[], files?: Buffer): string {
    const mac = createHmac('sha256', this.#nameKey).update(JSON.stringify(parts));
    if (files) mac.update('\n').update(files);
    return mac.digest('hex');
  }

  seal(name: string, { body, ...rest }: KeptAnswer): string {
    const head = Buffer.from(JSON.stringify(rest));
    const length = Buffer.alloc(lengthBytes);
    length.writeUInt32BE(head.length);
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(name));
    const sealed = [nonce, cipher.update(length), cipher.update(head), cipher.update(body), cipher.final()];
    return version + Buffer.concat([...sealed, cipher.getAuthTag()]).toString('base64url');
  }

  /** Undefined for what no daemon with the same secret has sealed under this name. */
  open(name: string, text: string): KeptAnswer | undefined {
    if (!text.startsWith(version) || !shape.test(text.slice(version.length))) return undefined;
    const bytes = Buffer.from(text.slice(version.length), 'base64url');
    if (bytes.length < nonceBytes + lengthBytes + tagBytes) return undefined;
    const plain = this.#decrypt(name, bytes);
    if (!plain) return undefined;
    const start = lengthBytes + plain.readUInt32BE();
    const head: unknown = JSON.parse(plain.toString('utf8', lengthBytes, start));
    if (!isRecord(head) || typeof head['storedAt'] !== 'number' || typeof head['contentType'] !== 'string') {
      return undefined;
    }
    return {
      storedAt: head['storedAt'],
      contentType: head['contentType'],
      usage: readUsage(head['usage']),
      body: plain.subarray(start),
    };
  }

  #decrypt(name: string, bytes: Buffer): Buffer | undefined {
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    } catch {
      // Forged, cut short, moved, or of a gateway with another secret.
      return undefined;
    }
  }
}

const derive = (secret: Buffer | string, info: string): Buffer => Buffer.from(hkdfSync('sha256', secret, '', info, 32));

/** Only daemons with the secret can have written it, so that its members are what `Usage` says. */
const readUsage = (stored: unknown): Usage | undefined =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- authenticated, and made sound again
  isRecord(stored) ? clampUsage(stored as unknown as Usage) : undefined;
