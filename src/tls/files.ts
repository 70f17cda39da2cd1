import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import { type CheckedPair, checkPair } from "./check.ts";

export interface PairFiles {
  cert: string;
  privkey: string;
}

/** Larger than any chain; what is bigger is not a certificate. */
const MAX_FILE_BYTES = 1 << 20;

/**
 * A certificate with its key from two files (which may be one).
 * @throws AppError `invalid_request` that names the file and says what is wrong with it
 */
export async function loadPair(files: PairFiles, now: number): Promise<CheckedPair> {
  const cert = await readPem(files.cert, "certificate");
  const key = files.privkey === files.cert ? cert : await readPem(files.privkey, "private key");
  return checkPair(cert, key, { cert: files.cert, key: files.privkey }, now);
}

async function readPem(file: string, what: string): Promise<string> {
  if (file === "") throw new AppError("invalid_request", `no file is set for the ${what} (common.ssl_info)`);
  let bytes: Buffer;
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) {
      throw new AppError("invalid_request", `${file} is too large for a ${what}`);
    }
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("invalid_request", `the ${what} file ${file} cannot be read: ${fileFault(error, file)}`);
  }
  return bytes.includes("-----BEGIN") ? bytes.toString("utf8") : fromDer(bytes);
}

/** Some authorities hand out the binary form. What is neither stays as it is, for the check to complain about. */
function fromDer(bytes: Buffer): string {
  try {
    return new X509Certificate(bytes).toString();
  } catch {
    return bytes.toString("utf8");
  }
}

/** Changes when any of the files is another one than before, and when one appears or goes. */
export async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = files.map(async (file) => {
    try {
      const { mtimeMs, size, ino } = await stat(file);
      return `${file} ${ino} ${size} ${mtimeMs}`;
    } catch {
      return `${file} -`;
    }
  });
  return (await Promise.all(stamps)).join("\n");
}
