import { join } from "node:path";
import { $ } from "bun";

/** What openssl makes, for tests that must not judge our own encoder by itself. */
export interface Chain {
  root: string;
  intermediate: string;
  leaf: string;
  key: string;
}

export interface LeafOptions {
  names?: string[];
  days?: number;
  /** Start and end as openssl takes them ("20200101000000Z"); instead of `days`. */
  from?: string;
  until?: string;
  keyType?: "ec" | "rsa:2048" | "rsa:1024";
  /** Name of the organization, so that two chains of a test differ. */
  organization?: string;
}

/** Root, intermediate and leaf in the folder. */
export async function makeChain(folder: string, options: LeafOptions = {}): Promise<Chain> {
  const { names = ["music.example.com"], organization = "Test", keyType = "ec" } = options;
  const at = (name: string) => join(folder, `${organization}-${name}`);
  await makeCa(at("root"), `/O=${organization}/CN=Root`, undefined);
  await makeCa(at("intermediate"), `/O=${organization}/CN=Intermediate`, at("root"));
  const san = names.map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(",");
  await Bun.write(at("leaf.ext"), `subjectAltName=${san}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`);
  await $`openssl req -new -newkey ${algorithm(keyType)} -nodes -keyout ${at("leaf.key")} -out ${at("leaf.csr")} -subj ${`/O=${organization}/CN=leaf`}`.quiet();
  await sign(at, options);
  const read = (name: string) => Bun.file(at(name)).text();
  return {
    root: await read("root.crt"),
    intermediate: await read("intermediate.crt"),
    leaf: await read("leaf.crt"),
    key: await read("leaf.key"),
  };
}

async function sign(at: (name: string) => string, { days = 90, from, until }: LeafOptions): Promise<void> {
  const issuer = at("intermediate");
  if (from === undefined || until === undefined) {
    await $`openssl x509 -req -in ${at("leaf.csr")} -CA ${issuer}.crt -CAkey ${issuer}.key -CAcreateserial -days ${days} -extfile ${at("leaf.ext")} -out ${at("leaf.crt")}`.quiet();
    return;
  }
  // Only `openssl ca` lets both ends of the validity be chosen.
  const folder = at("ca-files");
  await $`mkdir -p ${folder}`.quiet();
  await Bun.write(`${folder}/index.txt`, "");
  await Bun.write(
    `${folder}/ca.cnf`,
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${folder}/index.txt\nnew_certs_dir=${folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\nO=optional\nCN=optional\n`,
  );
  await $`openssl ca -batch -config ${folder}/ca.cnf -in ${at("leaf.csr")} -cert ${issuer}.crt -keyfile ${issuer}.key -startdate ${from} -enddate ${until} -extfile ${at("leaf.ext")} -notext -out ${at("leaf.crt")}`.quiet();
}

async function makeCa(file: string, subject: string, issuer: string | undefined): Promise<void> {
  await $`openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${file}.key -out ${file}.csr -subj ${subject}`.quiet();
  await Bun.write(`${file}.ext`, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
  const signer =
    issuer === undefined
      ? ["-signkey", `${file}.key`]
      : ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
  await $`openssl x509 -req -in ${file}.csr ${signer} -days 3650 -extfile ${file}.ext -out ${file}.crt`.quiet();
}

function algorithm(keyType: NonNullable<LeafOptions["keyType"]>): string[] {
  return keyType === "ec" ? ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] : [keyType];
}

export interface Handshake {
  /** "CN = leaf, O = Test" of each certificate sent, leaf first. */
  subjects: string[];
  /** SHA-256 of the leaf, "AB:CD…". */
  fingerprint: string;
  protocol: string;
  verified: boolean;
}

/** What a client sees. @param serverName null = none is sent */
export async function handshake(
  port: number,
  serverName: string | null,
  options: { ca?: string; args?: string[] } = {},
): Promise<Handshake> {
  const name = serverName === null ? ["-noservername"] : ["-servername", serverName];
  const ca = options.ca === undefined ? [] : ["-CAfile", options.ca];
  const command = ["openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-showcerts", ...name, ...ca];
  const child = Bun.spawn([...command, ...(options.args ?? [])], {
    stdin: new Blob([""]),
    stderr: "ignore",
    timeout: 10_000,
  });
  const text = await new Response(child.stdout).text();
  const [leaf] = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/) ?? [];
  return {
    subjects: [...text.matchAll(/^ \d s:(.*)$/gm)].map((match) => match[1] ?? ""),
    fingerprint: leaf === undefined ? "" : fingerprintOf(leaf),
    protocol: /^\s*(?:Protocol\s*:|New,)\s*(TLSv1\.\d)/m.exec(text)?.[1] ?? "",
    verified: /Verify return code: 0 /.test(text),
  };
}

export function fingerprintOf(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const hex = new Bun.CryptoHasher("sha256").update(der).digest("hex").toUpperCase();
  return (hex.match(/../g) ?? []).join(":");
}
