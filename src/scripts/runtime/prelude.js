// Runs inside the sandbox before the script: builds what a script finds in LX Music. It is evaluated as one expression,
// a function that is given `native` (the only way out) and returns what the host calls. Nothing of the host is
// reachable from here: values cross as JSON text, numbers and copies of bytes.
//
// A script may change every built-in after this; what it breaks then is its own.
(native, config, installWeb) => {
  const { parse, stringify } = JSON;
  const mobile = config.env === "mobile";
  const MAX_ARGUMENT = 1048576;
  const MAX_MESSAGE = 2097152;

  const checkLength = (text, limit) => {
    if (mobile && typeof text === "string" && text.length > limit) throw new Error("Input too long");
  };

  /** Strings go out as JSON (the bindings end strings at NUL and spoil lone surrogates), bytes beside it. */
  const call = (name, args, ...bytes) => {
    for (const arg of args) checkLength(arg, MAX_ARGUMENT);
    const text = stringify(args);
    checkLength(text, MAX_MESSAGE);
    return native(name, text, ...bytes);
  };

  const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);
  const toBuffer = (value) => {
    if (value instanceof ArrayBuffer) return value;
    if (ArrayBuffer.isView(value)) return value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength);
    if (Array.isArray(value)) return Uint8Array.from(value).buffer;
    throw new TypeError("The argument must be a string or bytes");
  };
  /** A call whose arguments are texts or bytes; bytes are passed beside the JSON, in order, null in their place. */
  const callMixed = (name, ...values) => {
    const bytes = [];
    const args = values.map((value) => {
      if (typeof value === "string") return value;
      if (value === null || value === undefined) return "";
      bytes.push(toBuffer(value));
      return null;
    });
    return call(name, args, ...bytes);
  };

  const cut = (value, length) => `${value}`.slice(0, length);
  const describe = (error) => {
    try {
      if (error !== null && typeof error === "object") {
        const message = "message" in error ? error.message : error;
        return stringify([cut(message, 2048), cut(error.name ?? "", 100), cut(error.stack ?? "", 8000)]);
      }
      return stringify([cut(error, 2048), "", ""]);
    } catch {
      return '["unknown error","",""]';
    }
  };

  // ---- timers

  const timers = new Map();
  let lastTimer = 0;
  const startTimer = (callback, delay, params, repeat) => {
    const id = ++lastTimer;
    call("timer", [id, delay]);
    timers.set(id, { callback, params, delay: repeat ? delay : -1 });
    return id;
  };
  const clearTimer = (id) => {
    if (timers.delete(id)) call("clear", [id]);
  };
  const milliseconds = (value) => {
    const number = Number(value);
    return number > 0 ? Math.min(Math.trunc(number), 2147483647) : 0;
  };
  const setTimeoutDesktop = (callback, delay, ...params) =>
    typeof callback === "function" ? startTimer(callback, milliseconds(delay), params, false) : 0;
  const setTimeoutMobile = (callback, timeout = 0, ...params) => {
    if (typeof callback !== "function") throw new Error("callback required a function");
    if (typeof timeout !== "number" || timeout < 0) throw new Error("timeout required a number");
    return startTimer(callback, milliseconds(timeout), params, false);
  };
  const setInterval = (callback, delay, ...params) =>
    typeof callback === "function" ? startTimer(callback, Math.max(4, milliseconds(delay)), params, true) : 0;
  const fireTimer = (id) => {
    const timer = timers.get(id);
    if (timer === undefined) return;
    if (timer.delay < 0) timers.delete(id);
    else call("timer", [id, timer.delay]);
    timer.callback(...timer.params);
  };

  // ---- lx.request

  /** Deeper JSON would exhaust the stack of the engine; it stays text. */
  const MAX_NESTING = 500;
  const requests = new Map();
  let lastRequest = 0;
  const bodyOf = (value) => {
    if (isBytes(value)) return { kind: "bytes" };
    if (typeof value === "object" && value !== null) return { kind: "object", value };
    return value === undefined || value === null ? { kind: "none" } : { kind: "text", value: `${value}` };
  };
  const request = (url, options, callback) => {
    const { method = "get", timeout, headers, body, form, formData, binary } = options;
    const id = ++lastRequest;
    const fields = [id, `${url}`, { method: `${method}`, timeout, headers, body: bodyOf(body), form, formData }];
    if (isBytes(body)) call("request", fields, toBuffer(body));
    else call("request", fields);
    requests.set(id, { callback, binary: binary === true });
    return () => {
      if (requests.has(id)) call("cancel", [id]);
    };
  };
  const answer = (id, problem, head, text, raw, nesting) => {
    const target = requests.get(id);
    if (target === undefined) return;
    requests.delete(id);
    const { callback } = target;
    if (problem !== null) {
      callback(new Error(problem), null, null);
      return;
    }
    const response = parse(head);
    let body = text;
    if (mobile && target.binary) {
      body = new Uint8Array(raw);
    } else {
      try {
        if (nesting <= MAX_NESTING) body = parse(text);
      } catch {
        // Not JSON: the text is the body.
      }
    }
    if (!mobile) {
      response.bytes = raw.byteLength;
      response.raw = new Uint8Array(raw);
    }
    response.body = body;
    callback(null, response, body);
  };

  // ---- lx.send, lx.on

  let inited = false;
  let alerted = false;
  let handler = null;

  const readSources = (info) => {
    if (!info) throw new Error("Missing required parameter init info");
    const found = {};
    for (const source of config.sources) {
      const declared = info.sources[source];
      if (declared?.type !== "music") continue;
      if (!Array.isArray(declared.actions)) throw new TypeError(`sources.${source}.actions must be an array`);
      if (source !== "local" && !Array.isArray(declared.qualitys)) {
        throw new TypeError(`sources.${source}.qualitys must be an array`);
      }
      found[source] = {
        actions: config.actions.filter((action) => declared.actions.includes(action)),
        qualitys: source === "local" ? [] : config.qualities.filter((quality) => declared.qualitys.includes(quality)),
      };
    }
    return found;
  };
  const sendInited = (data) => {
    if (inited) throw new Error("Script is inited");
    inited = true;
    let sources;
    try {
      sources = readSources(data);
    } catch (error) {
      call("failed", [parse(describe(error))]);
      return;
    }
    call("inited", [sources]);
  };
  const sendAlert = (data) => {
    if (alerted) throw new Error("The update alert can only be called once.");
    alerted = true;
    if (!data || typeof data !== "object") throw new Error("parameter format error.");
    const { log, updateUrl } = data;
    if (!log || typeof log !== "string") throw new Error("log is required.");
    const valid =
      typeof updateUrl === "string" && updateUrl.length <= 1024 && /^https?:\/\/[^\s$.?#].[^\s]*$/.test(updateUrl);
    call("alert", [log.length > 1024 ? `${log.substring(0, 1024)}...` : log, valid ? updateUrl : null]);
  };
  const EVENT_NAMES = { request: "request", inited: "inited", updateAlert: "updateAlert" };
  const send = (eventName, data) =>
    new Promise((resolve) => {
      if (eventName === EVENT_NAMES.inited) sendInited(data);
      else if (eventName === EVENT_NAMES.updateAlert) sendAlert(data);
      else if (eventName === EVENT_NAMES.request) throw new Error(`Unknown event name: ${eventName}`);
      else throw new Error(`The event is not supported: ${String(eventName)}`);
      resolve();
    });
  const on = (eventName, listener) => {
    if (eventName !== EVENT_NAMES.request) {
      return Promise.reject(new Error(`The event is not supported: ${String(eventName)}`));
    }
    handler = listener;
    return Promise.resolve();
  };

  /** Far beyond what clients take as an address; what is longer need not cross the border. */
  const MAX_ADDRESS = 100000;
  const settle = (id, action, value) => {
    if (action === "lyric") {
      if (typeof value !== "object" || value === null) return call("settle", [id, null]);
      const { lyric, tlyric, rlyric, lxlyric } = value;
      return call("settle", [id, { lyric, tlyric, rlyric, lxlyric }]);
    }
    return call("settle", [id, typeof value === "string" && value.length <= MAX_ADDRESS ? value : null]);
  };
  const reject = (id, error) => call("reject", [id, parse(describe(error))]);
  const dispatch = (id, text) => {
    if (typeof handler !== "function") return reject(id, new Error("Request event is not defined"));
    const { source, action, info } = parse(text);
    try {
      const promise = handler.call(lx, { source, action, info });
      if (promise === null || typeof promise !== "object" || typeof promise.then !== "function") {
        throw new TypeError("The request handler must return a promise");
      }
      promise.then((value) => settle(id, action, value)).then(undefined, (error) => reject(id, error));
    } catch (error) {
      reject(id, error);
    }
  };

  // ---- lx.utils

  const utils = {
    crypto: {
      aesEncrypt: (buffer, mode, key, iv) => new Uint8Array(callMixed("aes", `${mode}`, buffer, key, iv)),
      rsaEncrypt: (buffer, key) => new Uint8Array(callMixed("rsa", `${key}`, buffer)),
      randomBytes: (size) => new Uint8Array(call("random", [size])),
      md5: (data) => callMixed("md5", data),
    },
    buffer: {
      from: (input, encoding, length) => {
        if (typeof input === "string") return new Uint8Array(call("fromText", [input, encoding]));
        if (input instanceof ArrayBuffer) return new Uint8Array(input, encoding, length);
        if (ArrayBuffer.isView(input) || Array.isArray(input)) return Uint8Array.from(input);
        if (typeof input === "object" && input !== null && input.type === "Buffer") return Uint8Array.from(input.data);
        throw new TypeError("The first argument must be of type string, ArrayBuffer, Array or Uint8Array");
      },
      bufToString: (buf, format) => {
        if (typeof buf === "string") return call("toText", [format, buf]);
        return call("toText", [format], toBuffer(buf));
      },
    },
    zlib: {
      inflate: (data) => new Promise((resolve) => resolve(new Uint8Array(callMixed("inflate", data)))),
      deflate: (data) => new Promise((resolve) => resolve(new Uint8Array(callMixed("deflate", data)))),
    },
  };

  const lx = {
    version: "2.0.0",
    env: config.env,
    EVENT_NAMES,
    currentScriptInfo: config.script,
    request,
    send,
    on,
    utils,
  };

  // ---- globals

  const show = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    try {
      return typeof value === "object" && value !== null ? stringify(value) : String(value);
    } catch {
      return "[object]";
    }
  };
  const print =
    (level) =>
    (...values) => {
      // A line that is too long is cut by the host; it must not fail the script.
      native("console", stringify([level, values.map(show).join(" ").slice(0, 4096)]));
    };
  const consoleObject = { log: print("info"), info: print("info"), warn: print("warn"), error: print("error") };

  const define = (target, values) => {
    for (const name of Object.keys(values)) {
      Object.defineProperty(target, name, {
        value: values[name],
        writable: true,
        enumerable: false,
        configurable: true,
      });
    }
  };
  /** What scripts find in the page: some read their own text from it to see whether they were changed. */
  const page = {
    getElementsByTagName: (name) =>
      name === "script"
        ? [Object.freeze({ innerText: config.script.rawScript, textContent: config.script.rawScript })]
        : null,
  };
  const { script } = config;
  define(globalThis, {
    lx,
    console: consoleObject,
    setTimeout: mobile ? setTimeoutMobile : setTimeoutDesktop,
    clearTimeout: clearTimer,
    window: globalThis,
    document: page,
  });

  // Neither client compiles text: both answer with an error, as a content policy does.
  const noEval = (name) => {
    const refuse = {
      [name]: () => {
        throw new EvalError("Code generation from strings disallowed for this context");
      },
    };
    return refuse[name];
  };
  const RefusingFunction = noEval("Function");
  const refusingEval = noEval("eval");
  const makers = [() => {}, async () => {}, function* () {}, async function* () {}];
  for (const maker of makers) {
    const prototype = Object.getPrototypeOf(maker);
    const { name } = prototype.constructor;
    const refusing = name === "Function" ? RefusingFunction : Object.setPrototypeOf(noEval(name), RefusingFunction);
    Object.defineProperty(refusing, "prototype", { value: prototype, writable: false });
    Object.defineProperty(prototype, "constructor", { value: refusing, writable: false, configurable: false });
  }
  define(globalThis, { Function: RefusingFunction, eval: refusingEval });

  // The engine would hand functions of every frame to a hook of the script, ours among them.
  delete Error.prepareStackTrace;
  define(Error, { prepareStackTrace: undefined });

  const web = mobile
    ? {}
    : installWeb({ call, callMixed, toBuffer, print, consoleObject, define, setInterval, clearTimer });

  // Functions of the client show no source, neither ours nor the page's.
  const sourceOf = Function.prototype.toString;
  const { apply } = Reflect;
  const hidden = new WeakSet();
  const isHidden = WeakSet.prototype.has;
  const hide = (value, seen = new Set()) => {
    if (value === null || (typeof value !== "object" && typeof value !== "function") || seen.has(value)) return;
    seen.add(value);
    if (typeof value === "function") hidden.add(value);
    for (const descriptor of Object.values(Object.getOwnPropertyDescriptors(value))) {
      for (const part of [descriptor.value, descriptor.get, descriptor.set]) hide(part, seen);
    }
  };
  const own = [lx, consoleObject, globalThis.setTimeout, clearTimer, page, RefusingFunction, refusingEval, web];
  const toStringReplacement = {
    toString() {
      if (typeof this === "function" && apply(isHidden, hidden, [this]))
        return `function ${this.name}() { [native code] }`;
      return apply(sourceOf, this, []);
    },
  }.toString;
  define(Function.prototype, { toString: toStringReplacement });
  const seen = new Set([globalThis, Object.prototype, Function.prototype, Array.prototype, script]);
  for (const item of [...own, toStringReplacement]) hide(item, seen);

  const freezeDeep = (value) => {
    if (value === null || (typeof value !== "object" && typeof value !== "function") || Object.isFrozen(value)) return;
    Object.freeze(value);
    for (const part of Object.values(value)) freezeDeep(part);
  };
  freezeDeep(lx);
  Object.defineProperty(globalThis, "lx", { value: lx, writable: false, enumerable: true, configurable: false });

  /** Mobile: built-ins keep their values, except those that objects commonly define for themselves. */
  const freezeBuiltIns = () => {
    const kept = new Set([toStringReplacement, Function.prototype.toLocaleString, Object.prototype.toString]);
    const done = new Set();
    const visit = (value) => {
      if (value === null || (typeof value !== "object" && typeof value !== "function") || done.has(value)) return;
      done.add(value);
      for (const name of Reflect.ownKeys(value)) {
        const descriptor = Object.getOwnPropertyDescriptor(value, name);
        if (descriptor === undefined || kept.has(descriptor.value)) continue;
        if (descriptor.configurable) {
          const fixed = "value" in descriptor ? { writable: false, configurable: false } : { configurable: false };
          Object.defineProperty(value, name, fixed);
        } else if (descriptor.writable) {
          Object.defineProperty(value, name, { writable: false });
        }
        visit(descriptor.value);
      }
    };
    visit(globalThis);
  };
  if (mobile) freezeBuiltIns();

  return { dispatch, answer, fireTimer, describe };
};
