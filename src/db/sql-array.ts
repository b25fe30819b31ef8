/**
 * A list as one parameter, for `any (?::text[])` and `unnest (?::text[])`: MikroORM writes an array out as several
 * parameters, and an empty one as none at all.
 */
export const sqlArray = (values: readonly string[]): string =>
  `{${values.map((value) => `"${value.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`;
