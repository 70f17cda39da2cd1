import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { App } from "../app.ts";
import type { TlsSettings } from "../config/sections/tls.ts";
import { writeAtomic } from "../config/store.ts";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import { CERTIFICATE_LABEL, type CertificateInfo, pemBlocks, readCertificate } from "../tls/certificate.ts";
import { modeOf } from "../tls/held.ts";
import { ensureAuthority } from "../tls/local-authority.ts";
import { createSelfSigned, type KeyType, LEAF_DAYS, localNames } from "../tls/self-signed.ts";
import { answerChallenges } from "../tls/standalone.ts";
import { STORED_NAMES, type StoredName } from "../tls/store.ts";
import { table, textOption, timeText, wholeOption } from "./access-options.ts";
import type { Command, CommandContext } from "./command.ts";

type Feature = (context: CommandContext) => Promise<Pick<App, "tls" | "config" | "log">>;

const KEY_TYPES = ["ec", "rsa"] as const;
const CHALLENGES = ["http-01", "dns-01"] as const;

/** `cert self-signed | issue | renew | show | list`: none needs a running server, and a running one takes them over. */
export function certCommands(feature: Feature): Command[] {
  return [
    selfSignedCommand(feature),
    issueCommand(feature),
    renewCommand(feature),
    showCommand(feature),
    listCommand(feature),
  ];
}

function selfSignedCommand(feature: Feature): Command {
  return {
    name: "cert self-signed",
    summary: "make a certificate of our own",
    usage: "[NAME…]",
    options: {
      out: { type: "string" },
      days: { type: "string" },
      "key-type": { type: "string" },
      "no-ca": { type: "boolean" },
    },
    help: [
      "NAME…             names and addresses; localhost, this host and its LAN addresses are added",
      "Without --out the certificate is for this server (common.ssl_info.mode: self-signed).",
      "--out DIR         write fullchain.pem and privkey.pem there, for another program",
      "--key-type ec|rsa  kind of its key (common.ssl_info.key_type)",
      `--days N          days of its life (${LEAF_DAYS})`,
      "--no-ca           signed by itself, not by the local CA",
    ].join("\n"),
    arity: [0, 100],
    async run(context) {
      const { tls, config, log } = await feature(context);
      const settings = config().common.ssl_info;
      const out = textOption(context, "out");
      if (out !== undefined) {
        const own = withKeyType(settings, context);
        const local_ca = own.local_ca && context.values["no-ca"] !== true;
        return writeOut(context, out, { ...own, local_ca }, { tls, log });
      }
      const alone = ["days", "key-type", "no-ca"].find((name) => context.values[name] !== undefined);
      if (alone !== undefined) {
        throw new AppError("invalid_request", `--${alone} goes with --out; for this server see common.ssl_info`);
      }
      await tls.renew({ force: true, settings: { ...settings, mode: "self-signed" }, names: context.positionals });
      return showStored(context, tls, "self-signed", hintFor(settings, "self-signed"));
    },
  };
}

async function writeOut(
  context: CommandContext,
  out: string,
  settings: TlsSettings,
  { tls, log }: Pick<App, "tls" | "log">,
): Promise<number> {
  const now = Date.now();
  const authority = settings.local_ca
    ? await ensureAuthority({ store: tls.store, log, now: () => now }, settings)
    : undefined;
  const made = await createSelfSigned({
    names: [...new Set([...context.positionals, ...settings.names, ...localNames()])],
    keyType: settings.key_type,
    days: wholeOption(context, "days") ?? LEAF_DAYS,
    authority,
    now,
  });
  const folder = resolve(out);
  const files: Record<string, string> = { "fullchain.pem": made.cert, "privkey.pem": made.key };
  if (authority !== undefined) files["ca.crt"] = authority.cert;
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeAtomic(join(folder, name), text);
  } catch (error) {
    throw new AppError("storage_failed", `${folder} cannot be written: ${fileFault(error, folder)}`);
  }
  const written = Object.keys(files).map((name) => join(folder, name));
  const info = readCertificate(made.cert);
  context.result({ files: written, ...publicForm(info) }, [...written, ...lines(info)].join("\n"));
  return 0;
}

function issueCommand(feature: Feature): Command {
  return {
    name: "cert issue",
    summary: "get a certificate from an ACME server (Let's Encrypt)",
    usage: "[NAME…]",
    options: {
      email: { type: "string" },
      staging: { type: "boolean" },
      directory: { type: "string" },
      challenge: { type: "string" },
      hook: { type: "string" },
      "key-type": { type: "string" },
    },
    help: [
      "NAME…              names for the certificate (common.ssl_info.acme.names)",
      "--email ADDRESS    contact address",
      "--staging          Let's Encrypt's server for trying out",
      "--directory URL    another ACME server",
      "--challenge TYPE   http-01: port 80 of the names must lead to our HTTP port; dns-01: --hook sets TXT records",
      "--hook PROGRAM     run as PROGRAM present|cleanup RECORD VALUE",
      "--key-type ec|rsa  kind of key",
      "Options take the place of those in the config; to have renewals go the same way, write them there.",
    ].join("\n"),
    arity: [0, 100],
    async run(context) {
      const { tls, config, log } = await feature(context);
      const { common } = config();
      const settings = acmeSettings(withKeyType(common.ssl_info, context), context);
      const answering =
        settings.acme.challenge === "http-01"
          ? await answerChallenges(tls.challenge, { hosts: common.hosts, ports: common.ports }, log)
          : undefined;
      const progress = context.progress("asking the ACME server");
      try {
        await tls.renew({ force: true, settings });
      } finally {
        progress.end();
        await answering?.stop(1000);
      }
      return showStored(context, tls, "acme", hintFor(common.ssl_info, "acme"));
    },
  };
}

function acmeSettings(settings: TlsSettings, context: CommandContext): TlsSettings {
  const acme = { ...settings.acme };
  if (context.positionals.length > 0) acme.names = context.positionals;
  acme.email = textOption(context, "email") ?? acme.email;
  acme.directory_url = textOption(context, "directory") ?? acme.directory_url;
  acme.dns_hook = textOption(context, "hook") ?? acme.dns_hook;
  acme.challenge = oneOf(context, "challenge", CHALLENGES) ?? acme.challenge;
  if (context.values["staging"] === true) Object.assign(acme, { staging: true, directory_url: "" });
  return { ...settings, mode: "acme", acme };
}

function renewCommand(feature: Feature): Command {
  return {
    name: "cert renew",
    summary: "renew the server's certificate when it is due",
    options: { force: { type: "boolean" } },
    help: "--force   now, whatever is left of the present one",
    arity: [0, 0],
    async run(context) {
      const { tls, config, log } = await feature(context);
      const { common } = config();
      const mode = modeOf(common.ssl_info);
      const answering =
        mode === "acme" && common.ssl_info.acme.challenge === "http-01"
          ? await answerChallenges(tls.challenge, { hosts: common.hosts, ports: common.ports }, log)
          : undefined;
      try {
        const renewed = await tls.renew({ force: context.values["force"] === true });
        if (mode === "files") return 0;
        return await showStored(context, tls, mode, renewed ? "renewed" : "not due yet (--force renews it now)");
      } finally {
        await answering?.stop(1000);
      }
    },
  };
}

function showCommand(feature: Feature): Command {
  return {
    name: "cert show",
    summary: "show a certificate",
    usage: "[acme|self-signed|ca|FILE]",
    help: "Without a name: the one that the server serves by default.",
    arity: [0, 1],
    async run(context) {
      const { tls } = await feature(context);
      const [what] = context.positionals;
      if (what === undefined) {
        const [main] = await tls.list();
        if (main === undefined) throw new AppError("not_found", 'there is no certificate yet; see "cert self-signed"');
        context.result(main, lines(main).join("\n"));
        return 0;
      }
      if (isStored(what) && !existsSync(what)) return showStored(context, tls, what, undefined);
      const [pem] = pemBlocks(await readText(what), CERTIFICATE_LABEL);
      if (pem === undefined) throw new AppError("invalid_request", `${what} holds no certificate`);
      const info = readCertificate(pem);
      context.result(publicForm(info), lines(info).join("\n"));
      return 0;
    },
  };
}

function listCommand(feature: Feature): Command {
  return {
    name: "cert list",
    summary: "list the certificates that are served",
    arity: [0, 0],
    async run(context) {
      const { tls } = await feature(context);
      const rows = await tls.list();
      const head = ["CERTIFICATE", "FROM", "UNTIL", "DAYS", "NAMES"];
      const cells = rows.map((row) => [
        row.id,
        row.source,
        timeText(row.notAfter),
        String(row.daysLeft),
        row.names.join(" "),
      ]);
      context.result(rows, rows.length === 0 ? "no certificate yet" : table([head, ...cells]));
      return 0;
    },
  };
}

async function showStored(
  context: CommandContext,
  tls: App["tls"],
  name: StoredName,
  hint: string | undefined,
): Promise<number> {
  const stored = await tls.store.load(name);
  if (stored === undefined) throw new AppError("not_found", `there is no stored certificate "${name}"`);
  const info = readCertificate(stored.cert);
  const file = tls.store.fileOf(name);
  context.result({ name, file, ...publicForm(info) }, [file, ...lines(info), ...(hint ? [hint] : [])].join("\n"));
  return 0;
}

function hintFor(settings: TlsSettings, made: "acme" | "self-signed"): string {
  if (settings.enable && modeOf(settings) === made) return "a running server takes it over within seconds";
  return `to serve it, set common.ssl_info.enable: true and common.ssl_info.mode: ${made}`;
}

function withKeyType(settings: TlsSettings, context: CommandContext): TlsSettings {
  const keyType: KeyType | undefined = oneOf(context, "key-type", KEY_TYPES);
  return { ...settings, key_type: keyType ?? settings.key_type };
}

function oneOf<T extends string>(context: CommandContext, name: string, words: readonly T[]): T | undefined {
  const text = textOption(context, name);
  if (text === undefined) return undefined;
  const word = words.find((item) => item === text);
  if (word === undefined) throw new AppError("invalid_request", `--${name}: "${text}" is none of ${words.join(", ")}`);
  return word;
}

function isStored(name: string): name is StoredName {
  return STORED_NAMES.some((stored) => stored === name);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new AppError("not_found", `${file} cannot be read: ${fileFault(error, file)}`);
  }
}

function publicForm(info: CertificateInfo) {
  const { notBefore, notAfter, ...rest } = info;
  return { ...rest, notBefore: new Date(notBefore).toISOString(), notAfter: new Date(notAfter).toISOString() };
}

function lines(info: CertificateInfo): string[] {
  return [
    `names        ${info.names.join(" ")}`,
    `subject      ${info.subject}`,
    `issuer       ${info.issuer}${info.selfSigned ? " (itself)" : ""}`,
    `valid        ${timeText(info.notBefore)} to ${timeText(info.notAfter)} UTC`,
    `key          ${info.keyType}`,
    `serial       ${info.serial}`,
    `SHA-256      ${info.fingerprint}`,
  ];
}
