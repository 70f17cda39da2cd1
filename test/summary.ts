export {};

// The closing line of a test run, from the JUnit report given as the first argument. Fails when nothing ran.
const report = await Bun.file(process.argv[2] ?? "")
  .text()
  .catch(() => "");
const root = /<testsuites\b[^>]*>/.exec(report)?.[0] ?? "";
const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
const [total, failed, skipped] = [number("tests"), number("failures") + number("errors"), number("skipped")];
const passed = total - failed - skipped;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
if (passed === 0 || failed > 0) process.exit(1);
if (process.env["CI"] !== undefined && skipped > 0) {
  console.error("CI skips nothing");
  process.exit(1);
}
