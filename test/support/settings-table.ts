import { describeSettings, type SettingRow } from '../../src/config/settings.ts';

const code = (text: string): string => `\`${text}\``;
const list = (names: readonly string[]): string => names.map(code).join('<br>');

/** What can be said of a setting beside its places: what it takes, and how a secret is handed over. */
function meaning({ description, takes, credential }: SettingRow): string {
  const secret = credential ? ` Secret; systemd credential ${code(credential)}.` : '';
  return `${description}. Takes ${takes}.${secret}`.replaceAll('|', String.raw`\|`);
}

/** The table of all settings in docs/operating.md. To write it anew: see CONTRIBUTING.md. */
export function settingsTable(): string {
  const rows = describeSettings().map((row) => {
    const fallback = row.default === '' ? '' : row.default.includes(' ') ? row.default : code(row.default);
    const flag = row.flag === undefined ? '' : code(row.flag);
    return `| ${[flag, list(row.env), list(row.file), fallback, meaning(row)].join(' | ')} |`;
  });
  return ['| Flag | Environment | File | Default | Meaning |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}
