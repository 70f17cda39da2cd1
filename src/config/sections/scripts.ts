import { Type } from "@sinclair/typebox";
import { bool, choice, count, group, key, list, seconds, text } from "../key.ts";

const nameList = list(Type.String({ minLength: 1 }), []);
/** "kw" or "kw/flac". */
const turnList = list(Type.String({ pattern: "^(?:kw|kg|tx|wy|mg)(?:/[a-z0-9_]+)?$" }), []);

const limits = group("每个脚本的限制", "limits of each script", {
  memory_bytes: key(count(64 << 20, 4 << 20, 1 << 30), "脚本内存（字节）", "memory of the script (bytes)"),
  stack_bytes: key(
    count(192 << 10, 64 << 10, 512 << 10),
    "调用栈（字节），过大时深递归会使脚本进程重启",
    "call stack (bytes); beyond some 256 KiB deep recursion ends the script's process instead of failing in the script",
  ),
  slice_ms: key(
    count(3_000, 50, 60_000),
    "一次连续运行的上限（毫秒），超过即终止脚本进程",
    "longest stretch of computing without a pause (ms); beyond it the script's process is killed",
  ),
  init_slice_ms: key(count(10_000, 50, 120_000), "启动时同上（毫秒）", "the same while it starts (ms)"),
  init_deadline: key(seconds(30, 0.1), "等待 inited 的期限（秒）", "how long to wait for 'inited' (seconds)"),
  concurrent_calls: key(count(32, 1, 1_024), "同时处理的调用", "calls at the same time"),
  waiting_calls: key(count(128, 0, 10_000), "排队的调用", "calls that may wait"),
  requests_per_call: key(count(20, 1, 1_000), "每次调用的请求数", "requests per call"),
  concurrent_requests: key(count(16, 1, 256), "同时进行的请求", "requests at the same time"),
  response_bytes: key(
    count(8 << 20, 1_024, 256 << 20),
    "单个响应（解压后，字节）",
    "largest response after decompression (bytes)",
  ),
  timers: key(count(256, 1, 10_000), "同时存在的定时器", "timers at the same time"),
});

export const scriptsSection = group("第三方 LX 脚本", "third-party LX scripts", {
  enable: key(bool(true), "启用", "use them"),
  urls: key(list(Type.String(), []), "启动时添加的脚本地址", "scripts to add at start, by address"),
  env: key(
    choice("desktop", ["desktop", "mobile"]),
    "脚本看到的客户端：desktop 或 mobile，可为单个脚本另设",
    "the client that scripts see: desktop or mobile; may be set per script",
  ),
  when: key(
    choice("after", ["after", "before", "never"]),
    "何时询问脚本：after 自有音源失败后，before 之前，never 从不",
    "when scripts are asked: after the own source failed, before it, or never",
  ),
  before: key(turnList, "这些平台或平台/音质先问脚本", "platforms, or platform/quality, where scripts come first"),
  after: key(turnList, "这些平台或平台/音质后问脚本", "platforms, or platform/quality, where scripts come after"),
  never: key(turnList, "这些平台或平台/音质不问脚本", "platforms, or platform/quality, where scripts are not asked"),
  order: group(
    "每个平台的脚本顺序（名称或编号），未列出的按近期表现排在后面",
    "order per platform (names or ids); others follow by recent success and speed",
    {
      kw: key(nameList, "酷我", "Kuwo"),
      kg: key(nameList, "酷狗", "Kugou"),
      tx: key(nameList, "QQ 音乐", "QQ Music"),
      wy: key(nameList, "网易云", "NetEase"),
      mg: key(nameList, "咪咕", "Migu"),
    },
  ),
  deadline: key(
    Type.Number({ default: 18, minimum: 0.1, maximum: 19.5 }),
    "一次询问所有脚本的总期限（秒），客户端 20 秒放弃",
    "deadline of asking all scripts once (seconds); clients give up at 20",
  ),
  hedge: group("第一个脚本慢时再问下一个", "ask the next script when the first is slow", {
    enable: key(bool(true), "启用", "use it"),
    least_ms: key(count(400, 1, 20_000), "最少等待（毫秒）", "least wait (ms)"),
    most_ms: key(
      count(5_000, 1, 20_000),
      "最多等待（毫秒），未知时也用此值",
      "longest wait, and when nothing is known (ms)",
    ),
  }),
  breaker: group("连续失败的脚本暂停使用", "rest for scripts that keep failing", {
    failures: key(count(5, 1, 1_000), "连续失败次数", "failures in a row"),
    rest: key(seconds(60, 0.1), "第一次暂停（秒），之后加倍", "first rest (seconds), doubled after that"),
  }),
  probe: key(
    bool(true),
    "返回前先确认脚本给出的地址确实是音频",
    "make sure that an address from a script is audio before it is handed on",
  ),
  auto_update: key(bool(true), "自动检查并安装更新", "look for updates and install them"),
  update_interval: key(seconds(86_400, 60), "检查更新的间隔（秒）", "time between update checks (seconds)"),
  keep_versions: key(count(5, 1, 100), "保留的旧版本", "versions kept per script"),
  allow_private: key(
    list(Type.String({ minLength: 1 }), []),
    "脚本与下载可访问的内网主机或网段，默认无",
    "private hosts or networks that scripts and downloads may reach; none by default",
  ),
  dns: key(
    list(Type.String({ minLength: 1 }), []),
    "脚本使用的 DNS 服务器，留空用系统设置",
    "DNS servers for scripts; empty: the system's",
  ),
  spare: key(count(1, 0, 4), "预热的备用进程", "warm spare processes"),
  log_console: key(bool(true), "把脚本的 console 输出写入日志", "write what scripts print into the log"),
  limits,
  user_agent: key(text(""), "下载脚本时的 User-Agent，留空用默认", "User-Agent of script downloads; empty: default"),
});
