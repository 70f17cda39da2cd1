// Part of the sandbox, desktop only: what a page of the desktop client has besides the language. Evaluated as one
// expression, a function that the prelude calls; it installs globals and returns what it made.
(tools) => {
  const { call, toBuffer, print, consoleObject, define, setInterval, clearTimer } = tools;
  const { parse } = JSON;

  const invalidCharacter = () => {
    const error = new Error("The string contains characters outside of the Latin1 range or is not correctly encoded");
    error.name = "InvalidCharacterError";
    return error;
  };
  const btoa = (value) => {
    const text = `${value}`;
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) throw invalidCharacter();
    return call("btoa", [text]);
  };
  const atob = (value) => {
    const text = `${value}`.replace(/[\t\n\f\r ]/g, "").replace(/={1,2}$/, "");
    if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) throw invalidCharacter();
    return call("atob", [text]);
  };

  class TextEncoder {
    get encoding() {
      return "utf-8";
    }
    encode(value = "") {
      return new Uint8Array(call("fromText", [`${value}`, "utf8"]));
    }
    encodeInto(value, target) {
      let read = 0;
      let written = 0;
      for (const character of `${value}`) {
        const bytes = this.encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  }
  class TextDecoder {
    #label;
    #options;
    constructor(label = "utf-8", options = {}) {
      this.#label = call("textLabel", [`${label}`]);
      this.#options = [options?.fatal === true, options?.ignoreBOM === true];
    }
    get encoding() {
      return this.#label;
    }
    get fatal() {
      return this.#options[0];
    }
    get ignoreBOM() {
      return this.#options[1];
    }
    decode(input) {
      if (input === undefined) return "";
      return call("decodeText", [this.#label, ...this.#options], toBuffer(input));
    }
  }

  const formText = (text) => {
    const plain = text.replace(/\+/g, " ");
    return call("percentDecode", [plain]);
  };
  const encodeForm = (text) =>
    encodeURIComponent(text.toWellFormed())
      .replace(/%20/g, "+")
      .replace(/[!'()~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

  let changed;
  class URLSearchParams {
    #pairs = [];
    #owner;
    constructor(init = "") {
      if (typeof init === "object" && init !== null) {
        if (typeof init[Symbol.iterator] === "function") {
          for (const pair of init) {
            const [name, value, ...more] = pair;
            if (value === undefined || more.length > 0)
              throw new TypeError("Each query pair must be a name and a value");
            this.#pairs.push([`${name}`, `${value}`]);
          }
        } else {
          for (const name of Object.keys(init)) this.#pairs.push([name, `${init[name]}`]);
        }
      } else {
        this.#read(`${init}`);
      }
    }
    #read(text) {
      const parts = text.replace(/^\?/, "").split("&");
      this.#pairs = parts
        .filter((part) => part !== "")
        .map((part) => {
          const at = part.indexOf("=");
          return at < 0 ? [formText(part), ""] : [formText(part.slice(0, at)), formText(part.slice(at + 1))];
        });
    }
    #write() {
      if (this.#owner !== undefined) changed(this.#owner, this.toString());
    }
    static {
      URLSearchParams.attach = (params, owner, text) => {
        params.#owner = owner;
        params.#read(text);
      };
    }
    get size() {
      return this.#pairs.length;
    }
    append(name, value) {
      this.#pairs.push([`${name}`, `${value}`]);
      this.#write();
    }
    delete(name, value) {
      this.#pairs = this.#pairs.filter(
        ([key, held]) => key !== `${name}` || (value !== undefined && held !== `${value}`),
      );
      this.#write();
    }
    get(name) {
      return this.#pairs.find(([key]) => key === `${name}`)?.[1] ?? null;
    }
    getAll(name) {
      return this.#pairs.filter(([key]) => key === `${name}`).map(([, value]) => value);
    }
    has(name, value) {
      return this.#pairs.some(([key, held]) => key === `${name}` && (value === undefined || held === `${value}`));
    }
    set(name, value) {
      const first = this.#pairs.find(([key]) => key === `${name}`);
      if (first === undefined) {
        this.append(name, value);
        return;
      }
      first[1] = `${value}`;
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== `${name}`);
      this.#write();
    }
    sort() {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#write();
    }
    forEach(callback, self) {
      for (const [name, value] of this.#pairs) callback.call(self, value, name, this);
    }
    *entries() {
      for (const [name, value] of this.#pairs) yield [name, value];
    }
    *keys() {
      for (const [name] of this.#pairs) yield name;
    }
    *values() {
      for (const [, value] of this.#pairs) yield value;
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    toString() {
      return this.#pairs.map(([name, value]) => `${encodeForm(name)}=${encodeForm(value)}`).join("&");
    }
    get [Symbol.toStringTag]() {
      return "URLSearchParams";
    }
  }
  const { attach } = URLSearchParams;
  delete URLSearchParams.attach;

  class URL {
    #parts;
    #params = new URLSearchParams();
    constructor(url, base) {
      const found = base === undefined ? call("url", [`${url}`]) : call("url", [`${url}`, `${base}`]);
      if (found === undefined) throw new TypeError("Invalid URL");
      this.#take(parse(found));
    }
    #take(parts) {
      this.#parts = parts;
      attach(this.#params, this, parts.search);
    }
    #set(name, value) {
      const found = call("urlSet", [this.#parts.href, name, `${value}`]);
      if (found !== undefined) this.#take(parse(found));
      else if (name === "href") throw new TypeError("Invalid URL");
    }
    static {
      changed = (url, query) => {
        const found = call("urlSet", [url.#parts.href, "search", query]);
        if (found !== undefined) url.#parts = parse(found);
      };
      for (const name of [
        "href",
        "protocol",
        "username",
        "password",
        "host",
        "hostname",
        "port",
        "pathname",
        "search",
        "hash",
      ]) {
        Object.defineProperty(URL.prototype, name, {
          get() {
            return this.#parts[name];
          },
          set(value) {
            this.#set(name, value);
          },
          enumerable: true,
          configurable: true,
        });
      }
    }
    get origin() {
      return this.#parts.origin;
    }
    get searchParams() {
      return this.#params;
    }
    toString() {
      return this.#parts.href;
    }
    toJSON() {
      return this.#parts.href;
    }
    static canParse(url, base) {
      return (base === undefined ? call("url", [`${url}`]) : call("url", [`${url}`, `${base}`])) !== undefined;
    }
    get [Symbol.toStringTag]() {
      return "URL";
    }
  }

  const crypto = {
    getRandomValues(array) {
      if (!ArrayBuffer.isView(array)) throw new TypeError("The argument must be a typed array");
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(
        new Uint8Array(call("random", [array.byteLength])),
      );
      return array;
    },
  };
  const nothing = () => {};
  Object.assign(consoleObject, {
    debug: print("info"),
    trace: print("info"),
    dir: print("info"),
    table: print("info"),
    group: print("info"),
    groupCollapsed: print("info"),
    groupEnd: nothing,
    time: nothing,
    timeEnd: nothing,
    timeLog: nothing,
    count: nothing,
    clear: nothing,
    assert: (condition, ...values) => {
      if (!condition) consoleObject.error("Assertion failed:", ...values);
    },
  });

  const userAgent =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36";
  const globals = {
    self: globalThis,
    setInterval,
    clearInterval: clearTimer,
    queueMicrotask: (callback) => void Promise.resolve().then(() => callback()),
    atob,
    btoa,
    TextEncoder,
    TextDecoder,
    URL,
    URLSearchParams,
    crypto,
    navigator: { userAgent, language: "zh-CN", languages: ["zh-CN"], onLine: true },
  };
  define(globalThis, globals);
  return globals;
};
