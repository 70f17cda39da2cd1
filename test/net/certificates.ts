import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import forge from "node-forge";

export interface TestCertificates {
  /** PEM of the authority. */
  ca: string;
  issue(name: string): { cert: string; key: string };
}

/** An authority of our own that signs a certificate for any name. */
export function makeAuthority(): TestCertificates {
  const authority = keyPair();
  const root = certificate("Test authority", authority.publicKey, "1");
  root.setIssuer(root.subject.attributes);
  root.setExtensions([{ name: "basicConstraints", cA: true }]);
  root.sign(authority.privateKey, forge.md.sha256.create());
  let serial = 1;
  return {
    ca: forge.pki.certificateToPem(root),
    issue(name) {
      const keys = keyPair();
      serial++;
      const leaf = certificate(name, keys.publicKey, serial.toString(16).padStart(2, "0"));
      leaf.setIssuer(root.subject.attributes);
      leaf.setExtensions([{ name: "subjectAltName", altNames: [{ type: 2, value: name }] }]);
      leaf.sign(authority.privateKey, forge.md.sha256.create());
      return { cert: forge.pki.certificateToPem(leaf), key: forge.pki.privateKeyToPem(keys.privateKey) };
    },
  };
}

const keyPair = () => forge.pki.rsa.generateKeyPair({ bits: 2048, workers: -1 });

function certificate(name: string, key: forge.pki.PublicKey, serial: string): forge.pki.Certificate {
  const made = forge.pki.createCertificate();
  made.publicKey = key;
  made.serialNumber = serial;
  made.validity.notBefore = new Date(Date.now() - 86_400_000);
  made.validity.notAfter = new Date(Date.now() + 86_400_000);
  made.setSubject([{ name: "commonName", value: name }]);
  return made;
}

/** A folder for one test file, and how to remove it. */
export async function temporaryFolder(): Promise<{ path: string; remove(): void }> {
  const path = await mkdtemp(join(tmpdir(), "lx-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
