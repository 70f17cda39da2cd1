// Placed before this line: the header comment, and `const CONFIG = {…}` as plain JSON.

const { EVENT_NAMES, request, on, send, utils, env, version } = globalThis.lx;

const USER_AGENT = env ? "lx-music-" + env + "/" + version : "lx-music-request/" + version;
const BUSY = "服务器繁忙";
const LIMITS = { lyric: 51200, tlyric: 5119, rlyric: 5119, lxlyric: 8191 };

const log = (...values) => {
  if (CONFIG.dev) console.log(...values);
};

const encode = (value) =>
  utils.buffer
    .bufToString(utils.buffer.from(JSON.stringify(value), "utf-8"), "base64")
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const ask = (path, withKey = true) =>
  new Promise((resolve, reject) => {
    const headers = { "User-Agent": USER_AGENT, Accept: "application/json" };
    if (withKey && CONFIG.key) headers["X-Request-Key"] = CONFIG.key;
    request(CONFIG.url + path, { method: "GET", timeout: 19000, headers }, (error, response) => {
      if (error) return reject(error);
      let body = response.body;
      if (typeof body === "string") {
        try {
          body = JSON.parse(body);
        } catch (_) {
          return reject(new Error("服务器返回了无法识别的数据 (HTTP " + response.statusCode + ")"));
        }
      }
      resolve(body);
    });
  });

const REASONS = { 1: "访问被拒绝", 2: "获取失败", 4: "服务器内部错误", 6: "请求参数错误" };

const dataOf = (body) => {
  const code = body && typeof body === "object" ? Number(body.code) : NaN;
  if (code === 0) return body.data;
  if (code === 5) throw new Error(BUSY);
  const reason = body && typeof body.msg === "string" && body.msg;
  throw new Error(reason || REASONS[code] || "未知错误");
};

const absolute = (address) => {
  if (typeof address === "string" && /^https?:/.test(address)) return address;
  if (typeof address === "string" && address.startsWith("/")) return CONFIG.url + address;
  throw new Error("服务器没有给出地址");
};

// The client drops a part that is too long: keep whole lines up to its limit instead.
const cut = (text, limit) => {
  if (typeof text !== "string") return "";
  if (text.length <= limit) return text;
  const end = text.lastIndexOf("\n", limit);
  return end > 0 ? text.slice(0, end) : "";
};

const lyricOf = (data) => {
  const lyric = typeof data === "string" ? { lyric: data } : data || {};
  if (typeof lyric.lyric !== "string") throw new Error("没有歌词");
  const result = {};
  for (const name of Object.keys(LIMITS)) result[name] = cut(lyric[name], LIMITS[name]);
  return result;
};

const songIdOf = (musicInfo) => encodeURIComponent(musicInfo.hash || musicInfo.songmid);

const withInfo = (path, musicInfo) => path + "?info=" + encode(musicInfo);

const online = {
  musicUrl: async (source, info) =>
    absolute(
      dataOf(await ask(withInfo("/url/" + source + "/" + songIdOf(info.musicInfo) + "/" + info.type, info.musicInfo))),
    ),
  lyric: async (source, info) =>
    lyricOf(dataOf(await ask(withInfo("/lyric/" + source + "/" + songIdOf(info.musicInfo), info.musicInfo)))),
  pic: async (source, info) =>
    absolute(dataOf(await ask(withInfo("/pic/" + source + "/" + songIdOf(info.musicInfo), info.musicInfo)))),
};

const localQuery = (info) => "?q=" + encode({ p: info.musicInfo.songmid });

// One question tells what the server has; with keys in force it also gives signed addresses, because players send no headers.
const localAsk = async (info, part) => {
  const body = await ask("/local/c" + localQuery(info));
  const found = dataOf(body);
  if (!found || !found[part]) throw new Error("服务器上没有此文件");
  return (body.extra && body.extra.links) || {};
};

const local = {
  musicUrl: async (info) => absolute((await localAsk(info, "file")).file || "/local/u" + localQuery(info)),
  pic: async (info) => absolute((await localAsk(info, "cover")).cover || "/local/p" + localQuery(info)),
  lyric: async (info) => {
    await localAsk(info, "lyric");
    return lyricOf(dataOf(await ask("/local/l" + localQuery(info))));
  },
};

on(EVENT_NAMES.request, ({ source, action, info }) => {
  log("request", source, action, info && info.type);
  const handler = source === "local" ? local[action] : online[action];
  if (!handler) return Promise.reject(new Error("不支持的操作: " + action));
  return source === "local" ? handler(info) : handler(source, info);
});

const checkUpdate = async () => {
  const key = CONFIG.key ? "key=" + encodeURIComponent(CONFIG.key) + "&" : "";
  const update = dataOf(await ask("/script?" + key + "checkUpdate=" + CONFIG.md5, false));
  if (update) await send(EVENT_NAMES.updateAlert, { log: update.updateMsg, updateUrl: update.updateUrl });
};

const sources = {};
for (const source of Object.keys(CONFIG.quality)) {
  sources[source] = {
    name: CONFIG.names[source] || source,
    type: "music",
    actions: ["musicUrl"],
    qualitys: CONFIG.quality[source],
  };
}
sources.local = { name: "本地", type: "music", actions: ["musicUrl", "lyric", "pic"], qualitys: [] };

send(EVENT_NAMES.inited, { status: true, openDevTools: CONFIG.dev, sources });
if (CONFIG.update) checkUpdate().catch((error) => log("checkUpdate failed: " + error.message));
