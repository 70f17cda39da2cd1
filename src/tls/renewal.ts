import { type CertificateInfo, DAY_MS } from "./certificate.ts";

type Life = Pick<CertificateInfo, "notBefore" | "notAfter">;

/** Unix ms from which a certificate is to be renewed: when only this share of its life is left. */
export function dueAt({ notBefore, notAfter }: Life, share: number): number {
  return notAfter - (notAfter - notBefore) * share;
}

/** How long before its end a certificate that is still there becomes an alarm: a week, less for short-lived ones. */
export function alarmBeforeMs({ notBefore, notAfter }: Life, share: number): number {
  return Math.min(7 * DAY_MS, ((notAfter - notBefore) * share) / 2);
}

/** Ms until the next attempt after so many failures in a row: doubled each time up to a day, a quarter up or down. */
export function backoffMs(failures: number, firstMs: number, random: () => number): number {
  const doubled = firstMs * 2 ** Math.min(30, Math.max(0, failures - 1));
  return Math.min(doubled, DAY_MS) * (0.75 + random() / 2);
}

/** A moment in a server's window, the same one each time it is asked for the same certificate. */
export function momentIn(window: { start: number; end: number }, serial: string): number {
  const fraction = Number(BigInt(Bun.hash.xxHash64(serial)) & 0xffff_ffffn) / 2 ** 32;
  return window.start + Math.max(0, window.end - window.start) * fraction;
}
