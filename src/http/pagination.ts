import { t } from "elysia";

const MAX_PAGE_SIZE = 200;
const DEFAULT_PAGE_SIZE = 20;

/** `?page=&pageSize=` of the management API's lists. */
export const pageQuery = {
  page: t.Optional(t.Numeric({ minimum: 1, maximum: 1_000_000, multipleOf: 1, description: "从 1 起 / from 1" })),
  pageSize: t.Optional(t.Numeric({ minimum: 1, maximum: MAX_PAGE_SIZE, multipleOf: 1, description: "每页条数" })),
};

export interface PageRequest {
  page: number;
  pageSize: number;
}

export function pageRequest(query: { page?: number | undefined; pageSize?: number | undefined }): PageRequest {
  return { page: query.page ?? 1, pageSize: query.pageSize ?? DEFAULT_PAGE_SIZE };
}

/** A list of which the rows of one page are at hand. */
export function listAnswer<T>(rows: T[], total: number, { page, pageSize }: PageRequest) {
  return { data: rows, pagination: { page, pageSize, total, totalPages: Math.ceil(total / pageSize) } };
}

/** A list that is at hand as a whole. */
export function pageOfList<T>(all: readonly T[], request: PageRequest) {
  const start = (request.page - 1) * request.pageSize;
  return listAnswer(all.slice(start, start + request.pageSize), all.length, request);
}
