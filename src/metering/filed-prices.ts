import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError } from '../kernel/errors.ts';
import { ownPrice } from './own-price.ts';
import { PRICE_FILE_BYTES, type PriceFile, readPriceFile } from './price-file.ts';
import { Prices } from './prices.ts';

/** Where the price file is, where no setting says so. */
export const priceFileOf = (settings: { readonly priceFile: string | undefined; readonly stateDir: string }): string =>
  settings.priceFile ?? join(settings.stateDir, 'prices.json');

/** @throws GatewayError `invalid_price_file`. */
export const parsePriceFile = (text: string): PriceFile =>
  readPriceFile(text, (name, entry) => ownPrice({ name, info: entry, params: {} }, { source: 'price_file' }));

/** Prices that follow a file, which need not be there. */
export class FiledPrices {
  readonly prices: Prices;
  readonly #path: string | undefined;
  #signature = '';

  private constructor(prices: Prices, path: string | undefined) {
    this.prices = prices;
    this.#path = path;
  }

  /** @throws GatewayError `invalid_price_file` */
  static async open(
    path: string | undefined,
    onUnpriced?: (provider: string, model: string) => void,
  ): Promise<FiledPrices> {
    const filed = new FiledPrices(await Prices.load(onUnpriced), path);
    await filed.refresh();
    return filed;
  }

  /**
   * Reads the file if it is another than before; asking costs a look at the directory. A file that cannot be used is told
   * of once, and the prices of before go on.
   *
   * @returns the version that is used from now on, or undefined when nothing has changed
   * @throws GatewayError `invalid_price_file`
   */
  async refresh(): Promise<string | undefined> {
    if (this.#path === undefined) return undefined;
    const found = await readIfOther(this.#path, this.#signature);
    if (!found) return undefined;
    this.#signature = found.signature;
    const file = found.text === undefined ? undefined : parsePriceFile(found.text);
    this.prices.use(file);
    return file?.version ?? 'none';
  }
}

const absent = 'absent';

/** What stands in a file now, unless it has this signature. Its text is undefined where it is not there. */
async function readIfOther(
  path: string,
  signature: string,
): Promise<{ readonly signature: string; readonly text: string | undefined } | undefined> {
  try {
    await using file = await open(path, 'r');
    const { mtimeNs, size, ino, dev } = await file.stat({ bigint: true });
    const found = [mtimeNs, size, ino, dev].join(' ');
    if (found === signature) return undefined;
    if (size > PRICE_FILE_BYTES) throw unreadable(path, `is larger than ${PRICE_FILE_BYTES} bytes`);
    return { signature: found, text: await file.readFile('utf8') };
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw unreadable(path, 'cannot be read', thrown);
    return signature === absent || signature === '' ? undefined : { signature: absent, text: undefined };
  }
}

const unreadable = (path: string, what: string, cause?: unknown) =>
  new GatewayError('config', 'invalid_price_file', `The price file ${path} ${what}`, {
    hint: 'Name another with price_file, or check what is there: gatewayctl prices check',
    cause,
  });
