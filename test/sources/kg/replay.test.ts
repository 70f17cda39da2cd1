import { describe, expect, test } from "bun:test";
import type { HttpRequest } from "../../../src/net/fetch.ts";
import recorded from "../../fixtures/kg/recorded.json";
import { expectKind, stubKg } from "./harness.ts";

/** The recorded requests of the original, replayed: URL, order of the query, named headers and body are equal. */

interface Upstream {
  scheme: string;
  host: string;
  method: string;
  path: string;
  query: string;
  headers: Record<string, string>;
  body: string;
}
type RowName = Exclude<keyof typeof recorded, "entry">;
const upstream = (row: RowName): Upstream[] => recorded[row].upstream as unknown as Upstream[];

/** What the original draws anew at every request. */
function steady(headers: Record<string, string>): Record<string, string> {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  if (/^Mozilla/.test(lower["user-agent"] ?? "") && lower["referer"] === undefined) delete lower["user-agent"];
  delete lower["uuid"];
  return lower;
}

const sent = (request: HttpRequest) => ({
  url: request.url,
  method: request.method ?? "GET",
  headers: steady(request.headers ?? {}),
  body: String(request.body ?? ""),
});
const recordedAs = (item: Upstream) => ({
  url: `${item.scheme}://${item.host}${item.path}${item.query}`,
  method: item.method,
  headers: steady(item.headers),
  body: item.body,
});

const clock = (row: RowName): number => {
  const text = upstream(row)
    .map((item) => item.query + item.body)
    .join(" ");
  return Number(/clienttime[=":]+(\d{10})/.exec(text)?.[1] ?? 1795242008) * 1000;
};

const AUDIO = "POST gateway.kugou.com /v3/album_audio/audio";
const URL_V5 = "GET gateway.kugou.com /v5/url";
const MV_HASH = "GET mobilecdnbj.kugou.com /api/v3/song/info";
const IMAGE = "GET expendablekmrcdn.kugou.com /container/v2/image";
const LYRIC = "GET lyrics.kugou.com /search";
const DOWNLOAD = "GET lyrics.kugou.com /download";

type Entry = Omit<typeof recorded.entry, "audio_info"> & { audio_info: Record<string, string> };
const audio = (change: (entry: Entry) => void = () => {}) => {
  const entry: Entry = structuredClone(recorded.entry);
  change(entry);
  return { error_code: 0, data: [[entry]] };
};
const playable = {
  status: 1,
  url: ["http://fs.youthandroid2.kugou.com/a/b.mp3"],
  extName: "mp3",
  hash: "2B4B0FB87F2A855CC0520E3C009D0AC8",
};
const HASH = "41F45664E8235B786990CBF213CD4725";

describe("addresses", () => {
  test.each(["kg/01-url-128k", "basic/26-method-url-as-HEAD", "key/03-right-key"] as const)("%s", async (row) => {
    const { kg, asked } = stubKg({ [AUDIO]: audio(), [URL_V5]: playable }, clock(row));
    const found = await kg.url({ songId: HASH, quality: "128k" }, {});
    expect(asked.map(sent)).toEqual(upstream(row).slice(0, 2).map(recordedAs));
    expect(found.url).toBe("http://fs.youthandroid2.kugou.com/a/b.mp3");
  });

  test.each([
    { row: "kg/05-url-master", quality: "master" },
    { row: "key/06-whitelist-host-bypass", quality: "320k" },
  ] as const)("$row: refused with the original's words", async ({ row, quality }) => {
    const { kg, asked } = stubKg({ [AUDIO]: audio(), [URL_V5]: { status: 2, url: [] } }, clock(row));
    await expectKind(kg.url({ songId: HASH, quality }, {}), "upstream_needs_purchase", recorded[row].msg ?? "");
    expect(asked.slice(1, 2).map(sent)).toEqual(upstream(row).map(recordedAs));
  });

  test("kg/05-url-master: the newer rendition is the second attempt", async () => {
    const { kg, asked } = stubKg({ [AUDIO]: audio(), [URL_V5]: { status: 2, url: [] } }, clock("kg/05-url-master"));
    await expectKind(kg.url({ songId: HASH, quality: "master" }, {}), "upstream_needs_purchase");
    const qualities = asked.slice(1).map((request) => new URL(request.url).searchParams.get("quality"));
    expect(qualities).toEqual(["viper_atmos", "viper_clear"]);
  });

  test("kg/07-url-notfound: an error where the original crashes", async () => {
    const row = "kg/07-url-notfound";
    const { kg, asked } = stubKg({ [AUDIO]: { error_code: 0, data: [[]] } }, clock(row));
    await expectKind(kg.url({ songId: "dead0000000000000000000000000000", quality: "128k" }, {}), "upstream_not_found");
    expect(asked.map(sent)).toEqual(upstream(row).map(recordedAs));
  });

  test("kg/09-url-no-copyright(status 3)", async () => {
    const row = "kg/09-url-no-copyright(status 3)";
    const gone = audio((entry) => {
      entry.audio_info["hash_128"] = "77C5C1CD0E1B37B8437B6EBAD37FC104";
    });
    const { kg, asked } = stubKg({ [AUDIO]: gone, [URL_V5]: { status: 3, url: [] } }, clock(row));
    const call = kg.url({ songId: "AAAA0300000000000000000000000000", quality: "128k" }, {});
    await expectKind(call, "upstream_no_copyright", recorded[row].msg ?? "");
    expect(asked.map(sent)).toEqual(upstream(row).map(recordedAs));
  });

  test("kg/11-url-no-hires", async () => {
    const row = "kg/11-url-no-hires";
    const low = audio((entry) => {
      entry.audio_info["hash_high"] = "";
    });
    const { kg, asked } = stubKg({ [AUDIO]: low }, clock(row));
    const call = kg.url({ songId: "beef0000000000000000000000000000", quality: "flac24bit" }, {});
    await expectKind(call, "upstream_quality", recorded[row].msg ?? "");
    expect(asked.map(sent)).toEqual(upstream(row).map(recordedAs));
  });
});

const images = {
  data: [
    {
      author: [
        {
          author_id: "3520",
          author_name: "袁小葳",
          sizable_avatar: "http://singerimg.kugou.com/uploadpic/softhead/{size}/20210101/1.jpg",
        },
        {
          author_id: "836",
          author_name: "阿辰（阎辰）",
          sizable_avatar: "http://singerimg.kugou.com/uploadpic/softhead/{size}/20210101/2.jpg",
        },
      ],
    },
  ],
};

describe("song", () => {
  test.each(["kg/15-info", "key/04-key2"] as const)("%s: requests and every field", async (row) => {
    const mv = { data: { mvhash: "D451AAE8259E59D8F166D728CDDBA6F3" } };
    const { kg, asked } = stubKg({ [AUDIO]: audio(), [MV_HASH]: mv, [IMAGE]: images }, clock(row));
    const song = await kg.info(HASH, {});
    const [first, second, third] = asked.map(sent);
    const image = upstream("kg/01-url-128k").find((item) => item.host === "expendablekmrcdn.kugou.com");
    expect([first, second]).toEqual(upstream(row).map(recordedAs));
    expect(third).toEqual(image === undefined ? undefined : recordedAs(image));

    const wanted = recorded[row].data;
    const sizes = { "128k": 4080255, "320k": 10200345, flac: 30511234, flac24bit: 54511234 };
    expect({
      name: song.name,
      name_ori: song.originalName,
      name_extra: song.nameExtra,
      singer: song.artists.map((artist) => artist.name).join("、"),
      singer_list: song.artists.map((artist) => ({
        name: artist.name,
        id: artist.id,
        avatar: artist.avatar,
        sizable_avatar: artist.sizableAvatar,
      })),
      length: song.durationSeconds,
      hash: song.ids["hash"],
      songmid: song.ids["audioId"],
      album_id: song.album?.id,
      album: song.album?.name,
      bpm: song.bpm,
      language: song.language,
      cover: song.cover,
      sizable_cover: song.sizableCover,
      publish_date: song.publishDate,
      mvid: song.mvId,
      genre: song.genre,
    }).toEqual(
      Object.fromEntries(
        Object.entries(wanted).filter(([name]) => !["format_length", "file_info"].includes(name)),
      ) as never,
    );
    for (const [quality, file] of Object.entries(wanted.file_info)) {
      const size = sizes[quality as keyof typeof sizes];
      expect(song.qualities[quality as keyof typeof sizes]).toEqual({ hash: file.hash, size });
    }
    expect(Object.keys(song.qualities)).toEqual(Object.keys(wanted.file_info));
  });

  test("kg/19-info-notfound: an error where the original crashes", async () => {
    const row = "kg/19-info-notfound";
    const answers = { [AUDIO]: { error_code: 0, data: [[]] }, [MV_HASH]: { data: [] }, [IMAGE]: { data: [] } };
    const { kg, asked } = stubKg(answers, clock(row));
    await expectKind(kg.info("dead0000000000000000000000000000", {}), "upstream_not_found");
    expect(asked.map(sent).slice(1).toReversed()).toEqual(upstream(row).map(recordedAs));
  });
});

describe("lyric", () => {
  test("kg/21-lyric: the original's download, with no format named, comes first", async () => {
    const row = "kg/21-lyric";
    const { default: vectors } = await import("../../fixtures/kg/vectors.json");
    const content = vectors.kugou_krc.cases[0]?.in_base64;
    const search = {
      status: 200,
      candidates: [{ id: "39049402", accesskey: "6D78E4A0DE6DAE3F4D43A7E9A8F1D6C2", krctype: 1, contenttype: 0 }],
    };
    const answers = {
      [AUDIO]: audio(),
      [LYRIC]: search,
      [DOWNLOAD]: { status: 200, error_code: 0, fmt: "krc", content },
    };
    const { kg, asked } = stubKg(answers, clock(row));
    const lyric = await kg.lyric(HASH, {});
    expect(asked.slice(1).map(sent)).toEqual(upstream(row).map(recordedAs));
    expect(lyric.lyric).toContain("[01:05.007]为你坠落");
    expect(lyric.lxlyric).toContain("[00:01.234]<0,500>化<500,510>作");
  });

  test("plain lines are kept when the words cannot be had", async () => {
    const search = { status: 200, candidates: [{ id: 1, accesskey: "A", krctype: 1, contenttype: 0 }] };
    const content = Buffer.from("[00:01.00]一行").toString("base64");
    const download = (url: URL) =>
      url.searchParams.has("fmt") ? "<html>" : { status: 200, error_code: 0, fmt: "lrc", content };
    const { kg, asked } = stubKg({ [AUDIO]: audio(), [LYRIC]: search, [DOWNLOAD]: download }, 0);
    expect(await kg.lyric(HASH, {})).toEqual({ lyric: "[00:01.00]一行", tlyric: "", rlyric: "", lxlyric: "" });
    expect(asked.at(-1)?.url.endsWith("&fmt=krc&charset=utf8")).toBe(true);
  });

  test("kg/23-lyric-none", async () => {
    const row = "kg/23-lyric-none";
    const entry = audio((item) => {
      item.audio_info["hash"] = "C0DE0000000000000000000000000000";
    });
    const { kg, asked } = stubKg({ [AUDIO]: entry, [LYRIC]: { status: 200, candidates: [] } }, clock(row));
    const call = kg.lyric("c0de0000000000000000000000000000", {});
    await expectKind(call, "upstream_not_found", recorded[row].msg ?? "");
    expect(asked.map(sent)).toEqual(upstream(row).map(recordedAs));
  });

  test("a name with & and = is one parameter (the original lets it break out)", async () => {
    const entry = audio((item) => {
      item.songname = "Rock&Roll=Life";
    });
    const { kg, asked } = stubKg({ [AUDIO]: entry, [LYRIC]: { status: 200, candidates: [] } }, 1795242008000);
    await expectKind(kg.lyric(HASH, {}), "upstream_not_found");
    expect(asked[1]?.url).toContain("&keyword=Rock%26Roll%3DLife&hash=");
  });
});

describe("search", () => {
  test.each([
    { row: "kg/29-search-page", query: "晴天", page: 2, size: 2 },
    { row: "kg/37-search-4seg", query: "a", page: 1, size: 20 },
  ] as const)("$row: request and every field", async ({ row, query, page, size }) => {
    const wanted = recorded[row].data;
    const answers = { "GET songsearch.kugou.com /song_search_v2": searchReply(wanted) };
    const { kg, asked } = stubKg(answers, clock(row));
    const found = await kg.searchSongs({ query, page, size }, {});
    expect(asked.map(sent)).toEqual(upstream(row).map(recordedAs));
    expect({ total: found.total, page: found.page, size: found.size }).toEqual({
      total: wanted.total,
      page: wanted.page,
      size: wanted.size,
    });
    expect(found.list.map(asOriginal)).toEqual(wanted.list.map(withoutText));
  });
});

type Item = {
  name: string;
  name_ori: string;
  singer: string;
  singer_list: { name: string; id: number }[];
  isoriginal: boolean;
  tag: string;
  length: number;
  hash: string;
  file_info: Record<string, { hash: string; size: string }>;
  songmid: number;
  album_id: string;
  album: string;
  language: string;
  sizable_cover: string;
  mvid: string;
  subresult?: Item[];
};

const PREFIX = { "128k": "", "320k": "HQ", flac: "SQ", flac24bit: "Res" };

/** The platform's reply from which the original made its answer. */
function searchReply(data: { total: number; list: object[] }): object {
  const entry = (item: Item): object => ({
    SongName: item.name,
    OriSongName: item.name_ori,
    SingerName: item.singer,
    Singers: item.singer_list,
    IsOriginal: item.isoriginal ? 1 : 0,
    TagContent: item.tag === "" ? null : item.tag,
    Duration: item.length,
    FileHash: item.hash,
    Audioid: item.songmid,
    AlbumID: item.album_id,
    AlbumName: item.album,
    Image: item.sizable_cover,
    MvHash: item.mvid,
    trans_param: item.language === "" ? [] : { language: item.language },
    ...Object.fromEntries(
      Object.entries(PREFIX).flatMap(([quality, prefix]) => {
        const file = item.file_info[quality];
        return [
          [`${prefix}FileHash`, file?.hash ?? (prefix === "" ? item.hash : "")],
          [`${prefix}FileSize`, file === undefined ? 0 : Math.round(Number.parseFloat(file.size) * 1048576)],
        ];
      }),
    ),
    Grp: (item.subresult ?? []).map(entry),
  });
  return { status: 1, error_code: 0, data: { total: data.total, lists: (data.list as Item[]).map(entry) } };
}

function asOriginal(song: Awaited<ReturnType<ReturnType<typeof stubKg>["kg"]["searchSongs"]>>["list"][number]): object {
  return {
    name: song.name,
    name_ori: song.originalName,
    name_extra: song.nameExtra,
    singer: song.artists.map((artist) => artist.name).join("、"),
    singer_list: song.artists.map((artist) => ({ name: artist.name, id: Number(artist.id) })),
    isoriginal: song.isOriginal,
    tag: song.tag,
    length: song.durationSeconds,
    hash: song.ids["hash"],
    file_info: Object.fromEntries(
      Object.entries(song.qualities).map(([quality, file]) => [
        quality,
        { hash: file.hash ?? "", size: `${Math.round(((file.size ?? 0) / 1048576) * 100) / 100}MB` },
      ]),
    ),
    songmid: Number(song.ids["audioId"]),
    album_id: song.album?.id,
    album: song.album?.name,
    language: song.language ?? "",
    cover: song.cover,
    sizable_cover: song.sizableCover,
    mvid: song.mvId ?? "",
    ...(song.variants === undefined ? {} : { subresult: song.variants.map(asOriginal) }),
  };
}

function withoutText(item: object): object {
  const { format_length: _, ...rest } = item as { format_length?: string; subresult?: object[] };
  return { ...rest, ...(rest.subresult === undefined ? {} : { subresult: rest.subresult.map(withoutText) }) };
}

describe("mv", () => {
  const FILES = "GET m.kugou.com /app/i/mv.php";
  const DETAIL = "GET mobilecdnbj.kugou.com /api/v3/mv/detail";

  test("kg/39-mv-1080: requests and every field", async () => {
    const row = "kg/39-mv-1080";
    const wanted = recorded[row].data;
    const [singer] = wanted.singer_list;
    const detail = {
      status: 1,
      data: {
        info: {
          filename: wanted.filename,
          videoname: wanted.name_ori,
          remark: wanted.name_extra,
          description: wanted.intro,
          audio_info: { hash: wanted.music_hash, audio_id: wanted.music_id },
          mv_timelength: wanted.length * 1000,
          hash: wanted.hash,
          video_id: wanted.vid,
          singername: wanted.singer,
          authors: [{ singername: singer?.name, singerid: singer?.id, singeravatar: singer?.sizable_avatar }],
          tags: wanted.tags.map((tag_name) => ({ tag_name })),
          imgurl: wanted.sizable_cover,
        },
      },
    };
    const file = (item: { url: string; hash: string; bitrate: number; size: number }) => ({
      downurl: item.url,
      hash: item.hash,
      bitrate: item.bitrate,
      filesize: item.size,
    });
    const { "270p": le, "720p": sq, "1080p": rq } = wanted.play_info;
    const files = { status: 1, mvdata: { le: file(le), sq: file(sq), rq: file(rq) } };
    const { kg, asked } = stubKg({ [FILES]: files, [DETAIL]: detail }, 0);
    const mv = await kg.mv("10800000000000000000000000000000", {});
    expect(asked.map(sent).toSorted((a, b) => (a.url < b.url ? 1 : -1))).toEqual(upstream(row).map(recordedAs));
    const strip = ({ url, hash, bitrate, size }: { url: string; hash: string; bitrate: number; size: number }) => ({
      url,
      hash,
      bitrate,
      size,
    });
    expect(mv).toEqual({
      source: "kg",
      id: wanted.hash,
      name: wanted.name,
      originalName: wanted.name_ori,
      nameExtra: wanted.name_extra,
      intro: wanted.intro,
      artists: [
        {
          name: "周杰伦",
          id: "3520",
          avatar: singer?.avatar ?? "",
          sizableAvatar: singer?.sizable_avatar ?? "",
        },
      ],
      durationSeconds: 269.5,
      cover: wanted.cover,
      sizableCover: wanted.sizable_cover,
      tags: wanted.tags,
      ids: { filename: wanted.filename, musicHash: wanted.music_hash, musicId: "20505", vid: "8881" },
      files: { "270p": strip(le), "720p": strip(sq), "1080p": strip(rq) },
    });
  });

  test("kg/41-mv-null", async () => {
    const row = "kg/41-mv-null";
    const { kg, asked } = stubKg({ [FILES]: { status: 0 }, [DETAIL]: { status: 1, data: { info: null } } }, 0);
    await expectKind(kg.mv("beef0000000000000000000000000000", {}), "upstream_not_found", recorded[row].msg ?? "");
    expect(asked.map(sent).toSorted((a, b) => (a.url < b.url ? 1 : -1))).toEqual(upstream(row).map(recordedAs));
  });
});
