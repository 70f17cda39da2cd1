/** A value that shows by itself whether it is whole, and whose it is. */
export function sealed(key: string, length: number): string {
  const body = `${key}|${crypto.randomUUID()}|${"音".repeat(length / 2)}${"x".repeat(length / 2)}`;
  return `${Bun.hash.xxHash64(body).toString(36)}|${body}`;
}

export function isWhole(key: string, value: string): boolean {
  const bar = value.indexOf("|");
  const body = value.slice(bar + 1);
  return body.startsWith(`${key}|`) && Bun.hash.xxHash64(body).toString(36) === value.slice(0, bar);
}
