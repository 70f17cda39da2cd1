import type { TProperties } from "@sinclair/typebox";
import { t } from "elysia";
import { AppError } from "../core/errors.ts";

/** Named forms of the OpenAPI document. */
export const openApiSchemas = {
  Envelope: {
    type: "object",
    required: ["code", "msg", "data"],
    properties: {
      code: {
        type: "integer",
        enum: [0, 1, 2, 4, 5, 6],
        description: "0 成功 1 拒绝 2 失败 4 内部错误 5 过于频繁 6 参数错误",
      },
      msg: { type: "string" },
      data: {},
      extra: { type: "object" },
    },
  },
  ManagementError: {
    type: "object",
    required: ["error"],
    properties: {
      error: {
        type: "object",
        required: ["code", "message"],
        properties: { code: { type: "string" }, message: { type: "string" }, details: { type: "object" } },
      },
    },
  },
} as const;

/**
 * The query of a route that players and scripts ask: what it does not know is left alone, as in the original, because
 * signed addresses and clients add their own.
 */
export const looseQuery = <T extends TProperties>(properties: T) =>
  t.Object(properties, { additionalProperties: true });

/** A success of dialect A. */
export function ok(data: unknown, extra?: object): Response {
  return json(extra === undefined ? { code: 0, msg: "success", data } : { code: 0, msg: "success", data, extra });
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json; charset=utf-8" } });
}

/** `page` and `size` of a list: whole numbers from 1, `size` at most `most`. @throws AppError `invalid_request` */
export function pageOf(
  query: Record<string, string | undefined>,
  defaultSize: number,
  most: number,
): { page: number; size: number } {
  return {
    page: wholeNumber(query["page"], 1, 10_000, "page"),
    size: wholeNumber(query["size"], defaultSize, most, "size"),
  };
}

function wholeNumber(text: string | undefined, absent: number, most: number, name: string): number {
  if (text === undefined || text === "") return absent;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) throw new AppError("invalid_request", `参数"${name}"应为 1 到 ${most} 的整数`);
  return value;
}
