/** What a program before us might make something else of than we do. A line break in one makes a second header field. */
export const hostSpellings: readonly string[] = [
  'Host: localhost',
  'Host: localhost:4000',
  'Host: x/?',
  'Host: localhost/health/liveliness?',
  'Host: x#',
  'Host: x@localhost',
  'Host: x\\',
  'Host: [::1',
  'Host: x:1/..',
  'Host: ',
  'X-No-Host: x',
  'Host: a\r\nHost: b',
  'Host: a, b',
  'Host: http://x/openapi.json?',
  'Host: x%2fhealth%2fliveliness',
  'Host: x y',
  'Host: \x80\xff',
  'Host: localhost;/openapi.json\r\nX-Forwarded-Host: localhost/openapi.json?',
];

type Spelling = (path: string) => string;

const inner =
  (by: string): Spelling =>
  (path) =>
    `/${path.slice(1).replace('/', by)}`;
const after =
  (text: string): Spelling =>
  (path) =>
    path + text;
const before =
  (text: string): Spelling =>
  (path) =>
    text + path;

/** A path, as somebody might write it who wants one program to see another. */
export const pathSpellings: readonly Spelling[] = [
  (path) => path,
  after('/'),
  (path) => path.toUpperCase(),
  before('/'),
  inner('//'),
  inner('/./'),
  inner('/x/../'),
  after('/.'),
  after('/..'),
  inner('%2f'),
  inner('%2F'),
  inner('%5c'),
  inner('\\'),
  inner('%252f'),
  inner('%c0%af'),
  inner('\xef\xbc\x8f'),
  (path) => `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`,
  after(';x'),
  after(';/health/liveliness'),
  inner(';x/'),
  after('#/health/liveliness'),
  after('%00'),
  after('%0a'),
  after('%0d%0aHost:%20x'),
  after('%20'),
  after('%2e'),
  after('.json'),
  after('/health/liveliness'),
  after('?'),
  after('?/health/liveliness'),
  before('/health/liveliness'),
  before('/health/liveliness/..'),
  before('/openapi.json/%2e%2e'),
  before('/openapi.json?'),
  before('/openapi.json#'),
  before('/v1/models/..'),
  before('/v1'),
  before('http://localhost'),
  (path) => path.slice(1),
  (path) => `*${path}`,
];
