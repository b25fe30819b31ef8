import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

export interface TextSigner {
  sign(text: string, context?: readonly string[]): string;
  /** The text, or undefined when nobody with the same secret has signed it for the same purpose and context. */
  open(signed: string, context?: readonly string[]): string | undefined;
}

/**
 * Text that passes through a place where others may write.
 *
 * @param secret one that all daemons of a database have
 * @param purpose what is signed for one thing is worth nothing for another
 */
export function createTextSigner(secret: Buffer | string, purpose: string): TextSigner {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `gatewayctl ${purpose}`, 32));
  const codeOf = (text: string, context: readonly string[]): Buffer =>
    createHmac('sha256', key)
      .update(JSON.stringify([...context, text]))
      .digest();
  return {
    sign: (text, context = []) => `${codeOf(text, context).toString('base64url')}.${text}`,
    open(signed, context = []) {
      const dot = signed.indexOf('.');
      const text = signed.slice(dot + 1);
      const given = Buffer.from(signed.slice(0, Math.max(0, dot)), 'base64url');
      const expected = codeOf(text, context);
      return given.length === expected.length && timingSafeEqual(given, expected) ? text : undefined;
    },
  };
}
