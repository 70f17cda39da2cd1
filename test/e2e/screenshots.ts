import { join } from "node:path";
import { openBrowser } from "./browser.ts";
import { startServer } from "./server.ts";

// `bun test/e2e/screenshots.ts`: the pictures of README.md, from the built server. Chinese fonts: fonts-noto-cjk.
const LOSSLESS = ["128k", "320k", "flac", "flac24bit"];
const server = await startServer({
  config: {
    common: {
      public_url: "https://music.example.com",
      download_config: {
        name: "客厅的音乐",
        intro: "家里的 LX Music 源",
        quality: {
          kg: [...LOSSLESS, "hires"],
          tx: [...LOSSLESS, "atmos"],
          wy: [...LOSSLESS, "hires"],
          mg: LOSSLESS,
          kw: LOSSLESS,
        },
      },
    },
  },
});
const browser = await openBrowser();
const shots = [
  { name: "landing", path: "/", width: 960, height: 800, ready: "document.querySelector('.code').complete" },
  { name: "docs", path: "/docs", width: 1200, height: 820, ready: "document.querySelectorAll('.opblock').length > 20" },
];
for (const { name, path, width, height, ready } of shots) {
  const page = await browser.page({ width, height });
  await page.open(`${server.url}${path}`);
  await page.until(ready);
  const file = join(import.meta.dir, `../../config/screenshots/${name}.png`);
  const bytes = await Bun.write(file, await page.screenshot());
  console.log(`${file}: ${Math.round(bytes / 1024)} KiB`);
}
await browser.close();
await server.remove();
