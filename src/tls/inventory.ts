import type { TlsSettings } from "../config/sections/tls.ts";
import type { Logger } from "../ops/log.ts";
import { readCertificate } from "./certificate.ts";
import type { TlsEntry } from "./door.ts";
import { stampOf } from "./files.ts";
import { type Held, type Looked, lookForMain, lookForOthers, modeOf, type SniFiles } from "./held.ts";
import { createTemporary } from "./local-authority.ts";
import { protocolOptions } from "./protocol.ts";
import { tlsEntries } from "./sni.ts";
import { type CertificateStore, STORED_NAMES } from "./store.ts";

/** What the domain profiles add. */
export interface DomainCertificates {
  /** Own certificates of profiles. */
  files: readonly SniFiles[];
  /** Names that our own certificate is to have as well. */
  names: readonly string[];
}

export interface InventoryDeps {
  settings: () => TlsSettings;
  domains: () => DomainCertificates;
  store: CertificateStore;
  log: Logger;
  now: () => number;
}

/** Certificates as the listener takes them. */
export interface Offer {
  entries: TlsEntry[];
  options: ReturnType<typeof protocolOptions>;
  /** The same for the same certificates and options. */
  fingerprint: string;
}

export interface Inventory {
  /**
   * Reads every certificate anew; one that cannot be read leaves in place what was read before.
   * @param create make a self-signed one where it is wanted and missing
   */
  load(create: boolean): Promise<void>;
  /** Has a file changed since the last `load`? */
  changed(): Promise<boolean>;
  /** With a temporary certificate when there is no other. */
  offer(): Promise<Offer>;
  /** The main one first. */
  held(): Held[];
  /** Why the wanted certificate is not there, by its id. */
  problem(id: string): string | undefined;
  /** Any problem, with the id. */
  anyProblem(): string | undefined;
}

/** The certificates that we have: what the config names, and what the store holds. */
export function createInventory(deps: InventoryDeps): Inventory {
  const { settings, domains, store, log, now } = deps;
  const local = { store, log, now };
  const report = createReporter(log);
  let main: Held | undefined;
  let others: Held[] = [];
  let stamp = "";

  const wish = () => ({ settings: settings(), moreNames: domains().names });

  function watchedFiles(): string[] {
    const { path, sni } = settings();
    const configured = [path, ...sni, ...domains().files].flatMap(({ cert, privkey }) => [cert, privkey]);
    return [...configured.filter((file) => file !== ""), ...STORED_NAMES.map(store.fileOf)];
  }

  async function withTemporary(): Promise<Held> {
    if (main !== undefined) return main;
    const pair = await createTemporary(local, wish());
    const info = readCertificate(pair.cert);
    log.warn("HTTPS is served with a temporary self-signed certificate until there is a good one", {
      mode: modeOf(settings()),
    });
    main = { id: "main", source: "temporary", pair, info, names: info.names };
    return main;
  }

  return {
    async load(create) {
      stamp = await stampOf(watchedFiles());
      const first = await lookForMain(local, wish(), create);
      const rest = await lookForOthers([...settings().sni, ...domains().files], now());
      report.take([first, ...rest]);
      main = first.held ?? main;
      const before = new Map(others.map((held) => [held.id, held]));
      others = rest.flatMap(({ id, held }) => held ?? before.get(id) ?? []);
    },
    changed: async () => (await stampOf(watchedFiles())) !== stamp,
    async offer() {
      const { pair, names } = await withTemporary();
      const entries = tlsEntries(pair, names, others);
      const options = protocolOptions(settings());
      const fingerprint = new Bun.CryptoHasher("sha256").update(JSON.stringify([entries, options])).digest("hex");
      return { entries, options, fingerprint };
    },
    held: () => (main === undefined ? others : [main, ...others]),
    problem: report.problem,
    anyProblem: report.any,
  };
}

/** Each problem is said once, and once more when it is gone. */
function createReporter(log: Logger) {
  let problems = new Map<string, string>();
  let flaws = new Map<string, string>();

  function announce(before: Map<string, string>, after: Map<string, string>, say: (id: string, text: string) => void) {
    for (const [id, text] of after) if (before.get(id) !== text) say(id, text);
  }

  return {
    take(looked: readonly Looked[]): void {
      const nextProblems = new Map<string, string>();
      const nextFlaws = new Map<string, string>();
      for (const { id, problem, warnings } of looked) {
        if (problem !== undefined) nextProblems.set(id, problem);
        else if (warnings.length > 0) nextFlaws.set(id, warnings.join("; "));
      }
      announce(problems, nextProblems, (certificate, reason) =>
        log.error("certificate cannot be used", { certificate, reason }),
      );
      announce(flaws, nextFlaws, (certificate, reason) => log.warn("certificate has a flaw", { certificate, reason }));
      for (const certificate of problems.keys()) {
        if (!nextProblems.has(certificate)) log.info("certificate is good again", { certificate });
      }
      problems = nextProblems;
      flaws = nextFlaws;
    },
    problem: (id: string) => problems.get(id),
    any(): string | undefined {
      const [first] = problems;
      return first === undefined ? undefined : `${first[0]}: ${first[1]}`;
    },
  };
}
