import type { openApiSchemas } from "./schema.ts";

/**
 * The generator's document made fit for people and for OpenAPI 3.0 tools: groups in a sensible order with a word on
 * each, choices as `enum`, numbers as numbers, failures and doors (request key, sign-in) on every operation.
 */

type Json = Record<string, unknown>;
type Operation = Json & { tags?: string[]; responses?: Json; security?: unknown; operationId?: string };

/** Groups as shown, in this order; what is not listed follows. */
const TAGS: [name: string, description: string][] = [
  ["music", "按路径取歌：LX Music 的源脚本使用 / by path, as the LX script asks"],
  ["music (query)", "按查询取歌：另一代脚本 / by query, the other generation of scripts"],
  ["script", "LX Music 源脚本 / the source script"],
  ["local", "服务器上的音乐 / music on this server"],
  ["files", "缓存的音频 / cached audio"],
  ["webdav", "WebDAV 上的音乐 / music on a WebDAV server"],
  ["auth", "登录 / sign-in"],
  ["access", "key、封禁、用户 / keys, bans, users"],
  ["accounts", "平台账号 / accounts of the platforms"],
  ["cache", "缓存 / cache"],
  ["audio", "音频缓存 / audio cache"],
  ["library", "音乐库 / library"],
  ["scripts", "第三方脚本 / third-party scripts"],
  ["gcsp", "歌词适配协议 / lyric-adapter protocol"],
  ["traces", "解析过程 / how answers came about"],
  ["ops", "健康与指标 / health and metrics"],
];

const FAILURES: Record<string, [status: number, text: string][]> = {
  Envelope: [
    [400, "code 6：参数错误 / bad parameters"],
    [403, "code 1：key 错误或已封禁 / key refused, or banned"],
    [404, "code 6：没有该资源；code 4：平台已停用 / no such resource; platform switched off"],
    [429, "code 5：过于频繁，见 Retry-After / too many requests"],
    [500, "code 4：内部错误 / internal error"],
  ],
  ManagementError: [
    [400, "VALIDATION_ERROR"],
    [401, "UNAUTHORIZED"],
    [403, "FORBIDDEN"],
    [404, "NOT_FOUND"],
    [429, "RATE_LIMIT_EXCEEDED"],
    [500, "INTERNAL_ERROR, DATABASE_ERROR"],
  ],
};

const text = (name: string, place: "path" | "query", description?: string) => ({
  name,
  in: place,
  required: place === "path",
  schema: { type: "string" },
  ...(description === undefined ? {} : { description }),
});

/** Routes that end in a wildcard: the generator leaves them out. */
export const WILDCARD_PATHS = {
  "/playlist/{source}/{id}": {
    get: {
      operationId: "getPlaylistBySourceById",
      tags: ["music"],
      summary: "歌单，id 或分享链接 / playlist by id or share link",
      parameters: [
        text("source", "path", "kg tx wy mg kw"),
        text("id", "path", "歌单 id / id of the playlist"),
        text("url", "query", "分享链接 / share link"),
        text("page", "query"),
        text("size", "query"),
      ],
      responses: { 200: { description: "LX 信封 / LX envelope" } },
    },
  },
};

/** Segments that need neither key nor sign-in, or check theirs by themselves. */
const OPEN = /^\/(?:$|script$|health$|ready$|metrics$|api\/v1\/auth\/(?:state|setup|login|refresh|logout)$)/;
const METHODS = ["get", "post", "put", "patch", "delete"];

export function refineOpenApi(document: Json): Json {
  const paths = isObject(document["paths"]) ? document["paths"] : {};
  const entries = Object.entries(paths).map(([path, item]): [string, Json] => [
    path.length > 1 ? path.replace(/\/$/, "") : path,
    isObject(item) ? answered(item) : {},
  ]);
  for (const [path, item] of entries) {
    for (const method of METHODS) {
      if (isObject(item[method])) item[method] = refineOperation(path, item[method]);
    }
  }
  const used = new Set(entries.flatMap(([, item]) => tagsOf(item)));
  const ranked = entries.toSorted(([, a], [, b]) => rankOf(a) - rankOf(b));
  return {
    ...document,
    tags: [
      ...TAGS.filter(([name]) => used.has(name)).map(([name, description]) => ({ name, description })),
      ...[...used].filter((name) => TAGS.every(([known]) => known !== name)).map((name) => ({ name })),
    ],
    paths: refineSchema(Object.fromEntries(ranked)),
  };
}

/** A route that takes every method does so in order to refuse: what it answers is GET. */
function answered(item: Json): Json {
  return "trace" in item ? { get: item["get"] } : { ...item };
}

function refineOperation(path: string, given: Json): Operation {
  const operation: Operation = { ...given };
  const manages = path.startsWith("/api/");
  const form = manages ? "ManagementError" : "Envelope";
  const content = {
    "application/json": { schema: { $ref: `#/components/schemas/${form satisfies keyof typeof openApiSchemas}` } },
  };
  const responses = isObject(operation.responses) ? { ...operation.responses } : {};
  for (const [status, answer] of Object.entries(responses)) {
    const given = isObject(answer) ? onlyJson(answer) : {};
    responses[status] = { ...given, description: given["description"] ?? "成功 / success" };
  }
  for (const [status, description] of FAILURES[form] ?? []) responses[status] ??= { description, content };
  operation.responses = responses;
  if (isObject(operation["requestBody"])) operation["requestBody"] = onlyJson(operation["requestBody"]);
  operation.operationId = String(operation.operationId ?? "").replaceAll(/[^\w]+(\w?)/g, (_, next: string) =>
    next.toUpperCase(),
  );
  if (!OPEN.test(path)) operation.security ??= [manages ? { bearer: [] } : { requestKey: [] }];
  return operation;
}

/** A body that is an object: the generator lists it as text and as a form too. */
function onlyJson(body: Json): Json {
  const { content } = body;
  if (!isObject(content) || content["application/json"] === undefined) return body;
  return { ...body, content: { "application/json": content["application/json"] } };
}

/** What the generator writes for TypeBox's unions and for numbers in text, in plain OpenAPI 3.0. */
function refineSchema(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(refineSchema);
  if (!isObject(node)) return node;
  const { anyOf, const: constant, patternProperties, ...rest } = node;
  if (isObject(patternProperties)) rest["additionalProperties"] = Object.values(patternProperties)[0];
  if (Array.isArray(anyOf)) {
    const branches = anyOf.filter(isObject).filter((branch) => branch["type"] !== "null");
    if (branches.length < anyOf.length) rest["nullable"] = true;
    const [only] = branches;
    if (branches.length === 1 && only !== undefined) return refineSchema({ ...rest, ...only });
    const numeric = branches.find((branch) => branch["type"] === "integer" || branch["type"] === "number");
    if (numeric !== undefined && branches.some((branch) => branch["format"] === numeric["type"]))
      return refineSchema({ ...rest, ...numeric });
    if (branches.length > 0 && branches.every((branch) => typeof branch["const"] === "string"))
      return { ...mapped(rest), type: "string", enum: branches.map((branch) => branch["const"]) };
    return { ...mapped(rest), anyOf: branches.map(refineSchema) };
  }
  return constant === undefined ? mapped(rest) : { ...mapped(rest), enum: [constant] };
}

function mapped(node: Json): Json {
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, refineSchema(value)]));
}

function tagsOf(item: Json): string[] {
  return METHODS.flatMap((method) => {
    const operation = item[method];
    const tags = isObject(operation) ? operation["tags"] : undefined;
    return Array.isArray(tags) ? tags.map(String) : [];
  });
}

function rankOf(item: Json): number {
  const [tag = ""] = tagsOf(item);
  const rank = TAGS.findIndex(([name]) => name === tag);
  return rank === -1 ? TAGS.length : rank;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
