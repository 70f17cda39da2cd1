import { Type } from "@sinclair/typebox";
import { address, bool, choice, group, key, list, seconds, text } from "../key.ts";

const CHROME_89 =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/89.0.4389.82 Safari/537.36";

const secretText = (value: string) => text(value);
const refresh = (interval: number) =>
  group("保持登录", "keep signed in", {
    enable: key(bool(false), "启用", "do it"),
    interval: key(seconds(interval, 60), "间隔（秒）", "time between runs (seconds)"),
  });
const KG_LOGIN = "http://login.user.kugou.com/v4/login_by_token";
const kgRefresh = group("保持登录，30 天不刷新会失效", "keep signed in; a token dies after 30 days", {
  enable: key(bool(false), "启用", "do it"),
  interval: key(seconds(86_000, 60), "间隔（秒）", "time between runs (seconds)"),
  login_url: key(address(KG_LOGIN), "登录接口", "address of the login service"),
});

export const kgUser = group("账号", "account", {
  token: key(secretText(""), "token，游客留空", "token, empty for a guest", { secret: true }),
  userid: key(text("0"), "用户 id，游客为 0", "user id, 0 for a guest"),
  mid: key(text("114514"), "设备号，任意数字", "device number, any digits"),
  lite_sign_in: group("概念版签到（仅 appid 3116）", "daily sign-in of the lite edition (appid 3116)", {
    enable: key(bool(false), "启用", "do it"),
    interval: key(seconds(86_400, 60), "间隔（秒）", "time between runs (seconds)"),
    mixsongmid: group("上报的歌曲", "song to report", {
      value: key(
        Type.Union([Type.String(), Type.Integer()], { default: "auto" }),
        "auto 或 mixsongid",
        "auto or a mixsongid",
      ),
    }),
  }),
  refresh_login: kgRefresh,
});
export const txUser = group("账号", "account", {
  qqmusic_key: key(secretText(""), "Cookie 中的 qqmusic_key", "qqmusic_key of the cookie", { secret: true }),
  uin: key(text(""), "QQ 号", "account number"),
  refresh_key: key(secretText(""), "用于刷新的 refresh_key", "refresh_key for renewing", { secret: true }),
  refresh_login: refresh(86_000),
});
export const wyUser = group("账号", "account", {
  cookie: key(secretText(""), "浏览器 Cookie（含 MUSIC_U）", "browser cookie with MUSIC_U", { secret: true }),
  refresh_login: refresh(86_400),
});
export const mgUser = group("账号", "account", {
  by: key(secretText(""), "请求头 by", "header by", { secret: true }),
  session: key(secretText(""), "Cookie 中的 SESSION", "SESSION of the cookie", { secret: true }),
  useragent: key(text(CHROME_89), "抓包时的 User-Agent", "User-Agent of that browser"),
  token: key(secretText(""), "App 的 token（可选）", "token of the app (optional)", { secret: true }),
  ce: key(secretText(""), "App 的 ce（可选）", "ce of the app (optional)", { secret: true }),
  pacmtoken: key(secretText(""), "H5 的 pacmtoken（可选）", "pacmtoken of the h5 page (optional)", { secret: true }),
  refresh_login: refresh(86_400),
});
export const kwUser = group("账号", "account", {
  uid: key(text("0"), "用户 id", "user id"),
  token: key(secretText(""), "token", "token", { secret: true }),
  device_id: key(text("0"), "设备号", "device id"),
});

const enable = () => key(bool(true), "提供本平台", "offer this platform");

export const kgSection = group("酷狗", "Kugou", {
  enable: enable(),
  client: group("客户端参数", "client constants", {
    appid: key(text("1005"), "appid：1005 安卓，3116 概念版", "appid: 1005 Android, 3116 lite"),
    signatureKey: key(
      text("OIlwieks28dk2k092lksi2UIkp"),
      "签名密钥，与 appid 对应",
      "signature secret, belongs to the appid",
    ),
    clientver: key(text("12029"), "版本号", "version code"),
    pidversionsecret: key(text("57ae12eb6890223e355ccfcb74edf70d"), "key 参数的密钥", "secret of the key parameter"),
    pid: key(text("2"), "pid", "pid"),
    public_key: key(
      text(""),
      "登录与设备注册的 RSA 公钥（base64 SPKI），留空则按 appid 选用",
      "RSA key of login and device registration (base64 SPKI), empty: the one of the appid",
    ),
  }),
  tracker: group("取链接口", "address service", {
    host: key(address("https://gateway.kugou.com"), "地址", "address"),
    path: key(text("/v5/url"), "路径", "path"),
    version: key(text("v5"), "版本", "version"),
    "x-router": group("网关路由头", "gateway routing header", {
      enable: key(bool(true), "发送", "send it"),
      value: key(text("tracker.kugou.com"), "值", "value"),
    }),
    extra_params: key(Type.Record(Type.String(), Type.Unknown(), { default: {} }), "追加的参数", "further parameters"),
  }),
  user: kgUser,
});

export const txSection = group("QQ 音乐", "QQ Music", {
  enable: enable(),
  vkeyserver: group("取链参数", "parameters of the address request", {
    guid: key(text("114514"), "guid", "guid"),
    uin: key(text("10086"), "uin", "uin"),
  }),
  user: txUser,
  cdnaddr: key(
    address("http://ws.stream.qqmusic.qq.com/"),
    "音频地址前缀，留空则用平台给出的",
    "prefix of audio addresses, empty for the one that the platform names",
  ),
  newer_request: key(
    bool(true),
    "平台出错（而非拒绝）时再用新版客户端的取链参数试一次",
    "when the platform fails (not when it refuses), try once more with the newer client's parameters",
  ),
});

export const wySection = group("网易云", "NetEase", {
  enable: enable(),
  proto: key(
    choice("offcial", ["offcial", "official", "ncmapi"]),
    "offcial（官方，原拼写）或 ncmapi",
    "offcial (the original's spelling) or ncmapi",
  ),
  user: wyUser,
  ncmapi: group("NeteaseCloudMusicApi 服务", "a NeteaseCloudMusicApi server", {
    api_url: key(address(""), "地址", "address"),
  }),
});

export const mgSection = group("咪咕", "Migu", {
  enable: enable(),
  user: mgUser,
  ways: key(
    Type.Array(
      Type.Union([Type.Literal("h5"), Type.Literal("app-v2.4"), Type.Literal("app-v2.0"), Type.Literal("h5-v2.4")]),
      { default: ["h5", "app-v2.4", "app-v2.0", "h5-v2.4"], minItems: 1, uniqueItems: true },
    ),
    "取链方式，依次尝试：h5（账号 by 与 session）、app-v2.4（游客或 token）、app-v2.0（游客）、h5-v2.4（游客仅 128k，或 pacmtoken）",
    "ways of asking for an address, tried in turn: h5 (by and session of the account), app-v2.4 (guest or token), app-v2.0 (guest), h5-v2.4 (guest: 128k only; or pacmtoken)",
  ),
});

export const kwSection = group("酷我", "Kuwo", {
  enable: enable(),
  proto: key(choice("bd-api", ["bd-api", "kuwodes", "mobi"]), "bd-api、kuwodes 或 mobi", "bd-api, kuwodes or mobi"),
  user: kwUser,
  des: group("kuwodes 接口", "the kuwodes service", {
    f: key(text("kuwo"), "参数 f", "parameter f"),
    need_encrypt: key(bool(true), "加密参数", "encrypt the parameters"),
    params: key(
      text("type=convert_url_with_sign&rid={songId}&quality={map_quality}&ext={ext}"),
      "参数模板：{songId} {map_quality} {raw_quality} {ext}",
      "parameter template: {songId} {map_quality} {raw_quality} {ext}",
    ),
    host: key(text("nmobi.kuwo.cn"), "主机", "host"),
    path: key(text("mobi.s"), "路径", "path"),
    response_type: key(choice("json", ["json", "text"]), "回复形式 json 或 text", "form of the reply: json or text"),
    url_json_path: key(text("data.url"), "json 中地址的位置", "where the address is in json"),
    bitrate_json_path: key(text("data.bitrate"), "json 中码率的位置", "where the bit rate is in json"),
    headers: key(
      Type.Record(Type.String(), Type.String(), { default: { "User-Agent": "okhttp/3.10.0" } }),
      "追加的请求头",
      "further headers",
    ),
  }),
  mobi: group("mobi 接口（不需要账号）", "the mobi service (needs no account)", {
    second_attempt: key(
      bool(true),
      "所选接口出错，或没有账号时，再用它试一次；平台要求会员或购买时不会",
      "try it once more when the chosen service fails or there is no account; never when the platform asks for a membership or a purchase",
    ),
    host: key(text("mobi.kuwo.cn"), "主机", "host"),
    source: key(text("kwplayer_ar_5.1.0.0_B_jiakong_vh.apk"), "参数 source（客户端名）", "parameter source (the app)"),
    user: key(text("0"), "参数 user，任意数字", "parameter user, any digits"),
  }),
});

export const moduleSection = group("平台", "platforms", {
  kg: kgSection,
  tx: txSection,
  wy: wySection,
  mg: mgSection,
  kw: kwSection,
  gcsp: group("歌词适配后端（仅限自用）", "lyric-adapter endpoint (private use only)", {
    enable: key(bool(false), "启用", "offer it"),
    path: key(text("/client/cgi-bin/api.fcg"), "路径", "path", { restart: true }),
    enable_verify: key(bool(false), "验证请求", "check requests"),
    package_md5: key(text(""), "安装包的 md5", "md5 of the app package"),
    salt_1: key(secretText("NDRjZGIzNzliNzEe"), "验证参数 1", "salt 1", { secret: true }),
    salt_2: key(secretText("6562653262383463363633646364306534333668"), "验证参数 2", "salt 2", { secret: true }),
  }),
  cookiepool: group("多账号（common.cookiepool 启用时）", "several accounts (with common.cookiepool)", {
    kg: key(list(kgUser, []), "酷狗账号列表，格式同 module.kg.user", "Kugou accounts, same form as module.kg.user"),
    tx: key(list(txUser, []), "QQ 音乐账号列表", "QQ Music accounts"),
    wy: key(list(wyUser, []), "网易云账号列表", "NetEase accounts"),
    mg: key(list(mgUser, []), "咪咕账号列表", "Migu accounts"),
    kw: key(list(kwUser, []), "酷我账号列表", "Kuwo accounts"),
  }),
});
