/** The fields of a CSV text, RFC 4180, a line at a time; lines without anything are passed over. */
export function* csvRows(text: string): Generator<string[]> {
  let row: string[] = [];
  const pattern = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/gy;
  // A byte order mark is how spreadsheets say UTF-8.
  pattern.lastIndex = text.startsWith('\uFEFF') ? 1 : 0;
  while (pattern.lastIndex < text.length) {
    const [whole, field = '', end = ''] = pattern.exec(text) ?? [];
    if (whole === undefined) throw new SyntaxError('a quoted field has no end, or something behind it');
    row.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
    if (end === ',' && pattern.lastIndex < text.length) continue;
    if (row.some((each) => each !== '')) yield row;
    row = [];
  }
}
