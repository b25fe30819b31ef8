import { z } from 'zod';

/** A page of a list as LiteLLM asks for it. `size` has a hard cap: no list loads everything. */
export const pageFields = (size: { default: number; max: number }) => ({
  page: z.int().min(1).max(1_000_000).default(1).describe('Which page of the list, from 1'),
  size: z.int().min(1).max(size.max).default(size.default).describe(`Entries on a page, at most ${size.max}`),
});

export interface Page {
  readonly page: number;
  readonly size: number;
}

export const offsetOf = ({ page, size }: Page): number => (page - 1) * size;

export const pagesFor = (total: number, size: number): number => Math.ceil(total / size);

/** A page as LiteLLM's newer lists ask for it. */
export const pageInput = {
  page: pageFields({ default: 25, max: 100 }).page,
  pageSize: pageFields({ default: 25, max: 100 }).size,
};

/** What such a list says beside its entries. */
export const pageInfo = {
  total: z.int().describe('How many there are on all pages; an estimate above 10,000 where counting takes long'),
  page: z.int().describe('Which page this is'),
  pageSize: z.int().describe('Entries on a page'),
  totalPages: z.int().describe('How many pages there are'),
};

export const describePage = (
  total: number,
  { page, pageSize }: { readonly page: number; readonly pageSize: number },
) => ({
  total,
  page,
  pageSize,
  totalPages: pagesFor(total, pageSize),
});
