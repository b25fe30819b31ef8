import { createHmac } from 'node:crypto';
import {
  type Forged,
  goodClaims,
  goodHeader,
  type Members,
  mintToken,
  named,
  publicForms,
  type Scene,
  seconds,
  signature,
} from './forge.ts';

const json = JSON.stringify;

/** Tokens whose signature is none, is of something else, or is by somebody else. */
export const wrongSignatures = (scene: Scene): Forged[] => [
  ...unsigned(scene),
  ...confused(scene),
  ...foreignKeys(scene),
  ...altered(scene),
];

function unsigned({ target }: Scene): Forged[] {
  const algorithms = ['none', 'None', 'NONE', 'nOnE', ' none', '', null, undefined, 0, true, ['none'], {}, '__proto__'];
  return algorithms.flatMap((alg, index) => {
    const input = [goodHeader(target, { alg }), goodClaims(target)]
      .map((part) => Buffer.from(json(part)).toString('base64url'))
      .join('.');
    return [
      { name: `alg without a signature ${index + 1}`, token: `${input}.` },
      {
        name: `alg with a signature ${index + 1}`,
        token: `${input}.${signature(target, input).toString('base64url')}`,
      },
    ];
  });
}

/** One algorithm in the name of another, and public keys as secrets. */
function confused({ target }: Scene): Forged[] {
  const names = [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'ES256K',
    'EdDSA',
    'Ed25519',
  ]
    .concat(['HS256', 'HS384', 'HS512', 'dir', 'RSA-OAEP', target.alg.toLowerCase(), `${target.alg} `])
    .filter((alg) => alg !== target.alg);
  const secrets = [
    ...publicForms(target),
    ...['', 'secret', target.kid, target.issuer, target.audience].map((text) => Buffer.from(text)),
  ];
  const hmacs = secrets.flatMap((secret) =>
    (['sha256', 'sha384', 'sha512'] as const).map((digest) => {
      const header = goodHeader(target, { alg: `HS${digest.slice(3)}` });
      const input = [header, goodClaims(target)].map((part) => Buffer.from(json(part)).toString('base64url')).join('.');
      return `${input}.${createHmac(digest, secret).update(input).digest('base64url')}`;
    }),
  );
  return [
    ...named(
      'alg of another key',
      names.map((alg) => mintToken(target, { header: { alg } })),
    ),
    ...named('HMAC with what is public', hmacs),
  ];
}

function foreignKeys({ target, forger, other }: Scene): Forged[] {
  const asTarget = { iss: target.issuer, aud: target.audience };
  return [
    ...named('the forger’s key', [
      mintToken(forger),
      mintToken(forger, { header: { kid: undefined } }),
      mintToken(forger, { header: { kid: 'mine' } }),
      mintToken(forger, { claims: { sub: 'admin', scope: 'litellm_proxy_admin' } }),
    ]),
    ...named('another issuer’s key', [
      mintToken(other, { claims: asTarget }),
      mintToken(other, { claims: asTarget, header: { kid: target.kid } }),
      mintToken(other, { claims: asTarget, header: { kid: undefined } }),
      mintToken(target, { claims: { iss: other.issuer, aud: other.audience } }),
      mintToken(target, { claims: { iss: other.issuer, aud: other.audience }, header: { kid: other.kid } }),
      mintToken(target, { claims: { iss: [target.issuer, other.issuer] } }),
    ]),
  ];
}

function altered({ target }: Scene): Forged[] {
  const good = mintToken(target);
  const [header = '', payload = '', signed = ''] = good.split('.');
  const bytes = Buffer.from(signed, 'base64url');
  const withSignature = (each: Uint8Array) => `${header}.${payload}.${Buffer.from(each).toString('base64url')}`;
  const flipped = Array.from({ length: 16 }, (_, index) => {
    const copy = Buffer.from(bytes);
    const at = Math.floor((index * copy.length) / 16);
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << (index % 8)), at);
    return withSignature(copy);
  });
  const rewritten = [
    { sub: 'admin' },
    { scope: 'litellm_proxy_admin' },
    { exp: seconds(3_600) },
    { aud: [target.audience] },
    { sub: '' },
  ];
  const text = (more: Members) => Buffer.from(json(goodClaims(target, more))).toString('base64url');
  const [otherHeader, , otherSigned] = mintToken(target, { claims: { sub: 'else' } }).split('.');
  const last = signed.at(-1) ?? '';
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  // The same bytes in another spelling: the last character has bits that stand for nothing.
  const respelt = alphabet.charAt(alphabet.indexOf(last) ^ 1);
  return [
    ...named('signature with a bit flipped', flipped),
    ...named('signature', [
      ...[1, 2, 4, 8].map((length) => withSignature(bytes.subarray(0, -length))),
      ...[1, 8].map((length) => withSignature(Buffer.concat([bytes, Buffer.alloc(length)]))),
      withSignature(Buffer.alloc(bytes.length)),
      withSignature(Buffer.alloc(bytes.length, 0xff)),
      withSignature(bytes.toReversed()),
      `${header}.${payload}.`,
      `${header}.${payload}.${signed}${signed}`,
      `${header}.${payload}.${signed.slice(0, -1)}${respelt}`,
      `${header}.${payload}.${signed}=`,
      `${header}.${payload}.${signed}==`,
      `${header}.${payload}.${signed}\n`,
      `${header}.${payload}. ${signed}`,
      `${header}.${payload}.${signed.slice(0, 9)}+/${signed.slice(11)}`,
      `${header}.${payload}.${otherSigned}`,
    ]),
    ...named(
      'payload under the signature of another',
      rewritten.map((more) => `${header}.${text(more)}.${signed}`),
    ),
    ...named('header under the signature of another', [
      `${Buffer.from(json(goodHeader(target, { typ: 'JWT' }))).toString('base64url')}.${payload}.${signed}`,
      `${otherHeader}=.${payload}.${signed}`,
    ]),
  ];
}
