import { constants } from "node:crypto";
import type { TlsSettings } from "../config/sections/tls.ts";

/** TLS 1.2 suites with forward secrecy and authenticated encryption; those of TLS 1.3 are all good and not configurable. */
export const MODERN_CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** The library wants the numbers of the protocol itself. */
const VERSIONS = { "TLSv1.2": 0x0303, "TLSv1.3": 0x0304 } as const;

export function protocolOptions(settings: Pick<TlsSettings, "min_version" | "max_version" | "ciphers">) {
  const least = VERSIONS[settings.min_version];
  return {
    minVersion: least,
    // A maximum below the minimum would leave nothing.
    maxVersion: Math.max(least, VERSIONS[settings.max_version]),
    ciphers: settings.ciphers.trim() || MODERN_CIPHERS,
    // Our order counts, not the client's.
    secureOptions: constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  };
}
