import type { Quality } from "../../../src/core/types.ts";
import type { CatalogSong, EmulatedAccount, PlatformRequest, World } from "../world.ts";

/** `br` -> what it is. */
const FILES: Record<string, { quality: Quality; bitrate: number; format: string }> = {
  "128kmp3": { quality: "128k", bitrate: 128, format: "mp3" },
  "192kmp3": { quality: "192k", bitrate: 192, format: "mp3" },
  "320kmp3": { quality: "320k", bitrate: 320, format: "mp3" },
  "2000kflac": { quality: "flac", bitrate: 2000, format: "flac" },
  "4000kflac": { quality: "flac24bit", bitrate: 4000, format: "flac" },
};
const CDN = "er-sycdn.kuwo.cn";

export const byRid = (world: World, rid: string | null) => world.songs.find((song) => song.ids.kw.id === rid);

/** What one file offer says, before each service puts it into its own form. */
export interface Offer {
  url: string;
  bitrate: number;
  format: string;
  rid: string;
  duration: number;
  size: number;
  ekey?: string;
}

/** `undefined` = 404. Lowers, replaces and notices silently, as the platform does. */
export function offer(
  world: World,
  request: PlatformRequest,
  asked: { rid: string; br: string; format: string },
  account: EmulatedAccount | "guest",
): Offer | undefined {
  const song = byRid(world, asked.rid);
  if (song === undefined || song.right === "none") return undefined;
  const plain = { rid: asked.rid, duration: song.durationSeconds, size: song.durationSeconds * 16_000 };
  const member = account !== "guest" && account.state === "member";
  if (world.fault("kw", "trial", request) || (song.right === "member" && !member)) {
    return { ...plain, url: `http://${CDN}/notice/2352675463.mp3`, bitrate: 1, format: "mp3" };
  }
  if (world.fault("kw", "encrypted", request)) {
    return { ...plain, url: `http://${CDN}/x/${asked.rid}.mflac`, bitrate: 20_201, format: "mflac", ekey: "ZWtleQ==" };
  }
  const file = FILES[asked.br];
  const exists = file !== undefined && file.format === asked.format && song.qualities.includes(file.quality);
  if (!exists || world.fault("kw", "lower", request)) {
    return { ...plain, url: `http://${CDN}/low/${asked.rid}.aac`, bitrate: 48, format: "aac" };
  }
  const path = `/3ffb59b5e84a443b17b24da4eb45640d/6657/resource/n2/${asked.rid}_${file.bitrate}.${file.format}`;
  return { ...plain, url: world.audioUrl(CDN, path, song, file.quality), bitrate: file.bitrate, format: file.format };
}

/** `N_MINFO`: sizes in MiB with two digits. */
export function minfoOf(song: CatalogSong): string {
  return Object.values(FILES)
    .filter((file) => song.qualities.includes(file.quality))
    .map((file) => {
      const size = ((song.durationSeconds * Math.min(file.bitrate, 1600) * 125) / 1024 ** 2).toFixed(2);
      return `level:ff,bitrate:${file.bitrate},format:${file.format},size:${size}Mb`;
    })
    .concat("level:z,bitrate:20201,format:mflac,size:30.00Mb")
    .join(";");
}

export const nameOf = (song: CatalogSong) => [song.name, song.nameExtra ?? ""].join(" ").trim();
export const artistOf = (song: CatalogSong) => song.artists.map((artist) => artist.name).join("&");
