import { join } from "node:path";
import type { Library } from "./index.ts";
import { lastSegment } from "./normalise.ts";
import type { Track } from "./track.ts";

/** A file (with its place) or a folder of the view. */
export interface ViewItem {
  name: string;
  file?: string;
}

const UNKNOWN_ARTIST = "未知歌手";
const UNKNOWN_ALBUM = "未知专辑";
const PAGE = 1000;

/** Songs by artist and album, as folders: "Artist/Album/01 Title.mp3". Built when first asked for, kept for a while. */
export function createArtistView(library: Library, options: { keepMs: number; now?: () => number }) {
  const now = options.now ?? Date.now;
  let built: { at: number; tree: Promise<Map<string, Map<string, Map<string, string>>>> } | undefined;

  async function build() {
    const tree = new Map<string, Map<string, Map<string, string>>>();
    for (let page = 1; ; page++) {
      const { tracks } = library.list({ page, pageSize: PAGE, sort: "path" });
      for (const track of tracks) add(tree, track, library);
      if (tracks.length < PAGE) return tree;
      // Requests get their turn between pages.
      await Bun.sleep(0);
    }
  }

  return {
    /** @returns undefined when there is no such folder */
    async list(segments: readonly string[]): Promise<ViewItem[] | undefined> {
      if (built === undefined || now() - built.at > options.keepMs) built = { at: now(), tree: build() };
      const tree = await built.tree;
      const [artist, album, ...rest] = segments;
      if (rest.length > 0) return undefined;
      const folders = (map: ReadonlyMap<string, unknown>) => [...map.keys()].sort().map((name) => ({ name }));
      if (artist === undefined) return folders(tree);
      const albums = tree.get(artist);
      if (album === undefined) return albums === undefined ? undefined : folders(albums);
      const songs = albums?.get(album);
      return songs === undefined ? undefined : [...songs].map(([name, file]) => ({ name, file }));
    },
  };
}

function add(tree: Map<string, Map<string, Map<string, string>>>, track: Track, library: Library): void {
  const artist = safe(track.albumArtist || track.artists[0] || UNKNOWN_ARTIST);
  const album = safe(track.album || UNKNOWN_ALBUM);
  const albums = tree.get(artist) ?? new Map<string, Map<string, string>>();
  tree.set(artist, albums);
  const songs = albums.get(album) ?? new Map<string, string>();
  albums.set(album, songs);
  const base = lastSegment(track.path);
  const extension = base.slice(base.lastIndexOf("."));
  const number = track.track === undefined ? "" : `${String(track.track).padStart(2, "0")} `;
  const name = track.title === "" ? base : safe(`${number}${track.title}`) + extension;
  let free = name;
  for (let copy = 2; songs.has(free); copy++) free = `${name.slice(0, -extension.length)} (${copy})${extension}`;
  const root = library.folderOf(track);
  if (root !== undefined) songs.set(free, join(root, track.path));
}

/** A tag as the name of a folder or file. */
function safe(text: string): string {
  const name = text
    .replace(/[/\\\u0000-\u001f\u007f]/g, "_")
    .replace(/^\.+/, "_")
    .trim();
  return Buffer.byteLength(name) > 200 ? `${[...name].slice(0, 60).join("")}…` : name || "_";
}
