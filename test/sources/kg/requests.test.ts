import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { HttpRequest } from "../../../src/net/fetch.ts";
import { kgPublicKey } from "../../platforms/kg.ts";
import { type Kg, kgConfig, stubKg } from "./harness.ts";

/** The exact requests of the abilities that the original does not have, as documented; the clock stands still. */

const NOW = 1795242008123;
const HASH = "41f45664e8235b786990cbf213cd4725";
const page = { page: 2, size: 30 };

const ANDROID = "OIlwieks28dk2k092lksi2UIkp";
const WEB = "NVPh5oo715z5DIWAeQlhMDsWXXQV4hwt";

/** The documented recipe, written down a second time: md5 of secret, sorted `k=v`, body, secret. */
function signed(base: string, query: string, secret: string, body = ""): string {
  const parts = query.split("&").map((part) => part.split("=").map(decodeURIComponent) as [string, string]);
  const text = parts
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join("");
  return `${base}?${query}&signature=${createHash("md5")
    .update(secret + text + body + secret)
    .digest("hex")}`;
}

interface Row {
  name: string;
  ask: (kg: Kg) => Promise<unknown>;
  answers: Record<string, unknown>;
  requests: Partial<HttpRequest>[];
}

const list = { status: 1, errcode: 0, data: { total: 0, info: [] } };
const about = { status: 1, data: { specialname: "x", albumname: "x" } };
const share = `appid=1058&specialid=0&global_specialid=collection_3_1_2_0&srcappid=2919&clientver=20000&clienttime=${NOW}&mid=${NOW}&uuid=${NOW}&dfid=-`;
const shareHeaders = {
  mid: String(NOW),
  dfid: "-",
  clienttime: String(NOW),
  Referer: "https://m3ws.kugou.com/share/index.php",
};
const gcidBody = '{"ret_info":1,"data":[{"id":"gcid_3zxyz1abcz0","id_type":2}]}';
const comments = (order: string) =>
  signed(
    `http://m.comment.service.kugou.com/r/v1/rank/${order}`,
    `dfid=0&mid=114514&clienttime=${NOW}&uuid=0&extdata=${HASH.toUpperCase()}&appid=1005&code=fc4be23b4e972707f36b8a828a93ba8a&schash=${HASH.toUpperCase()}&clientver=11409&p=2&clienttoken=&pagesize=30&ver=10&kugouid=0`,
    ANDROID,
  );

const rows: Row[] = [
  {
    name: "suggest",
    ask: (kg) => kg.suggest("晴&天", {}),
    answers: { "GET searchtip.kugou.com /getSearchTip": { data: [] } },
    requests: [
      {
        url: "https://searchtip.kugou.com/getSearchTip?MusicTipCount=10&keyword=%E6%99%B4%26%E5%A4%A9",
        headers: { Referer: "https://www.kugou.com/" },
      },
    ],
  },
  {
    name: "hot words",
    ask: (kg) => kg.hot({}),
    answers: { "GET gateway.kugou.com /api/v3/search/hot_tab": { data: { list: [] } } },
    requests: [
      {
        url: "https://gateway.kugou.com/api/v3/search/hot_tab?appid=1005&clientver=10026&plat=0&signature=ee44edb9d7155821412d220bcaf509dd",
        headers: {
          "User-Agent": "Android9-AndroidPhone-10020-130-0-searchrecommendprotocol-wifi",
          dfid: "-",
          mid: "114514",
          clienttime: "1795242008",
          "x-router": "msearch.kugou.com",
          "kg-rc": "1",
        },
      },
    ],
  },
  {
    name: "search playlists",
    ask: (kg) => kg.searchCollections("playlist", { query: "a b", ...page }, {}),
    answers: { "GET msearchretry.kugou.com /api/v3/search/special": list },
    requests: [
      {
        url: "http://msearchretry.kugou.com/api/v3/search/special?keyword=a%20b&page=2&pagesize=30&showtype=10&filter=0&version=7910&sver=2",
      },
    ],
  },
  {
    name: "search albums",
    ask: (kg) => kg.searchCollections("album", { query: "a", ...page }, {}),
    answers: { "GET msearchretry.kugou.com /api/v3/search/album": list },
    requests: [
      {
        url: "http://msearchretry.kugou.com/api/v3/search/album?keyword=a&page=2&pagesize=30&showtype=10&filter=0&version=7910&sver=2",
      },
    ],
  },
  {
    name: "search artists",
    ask: (kg) => kg.searchCollections("artist", { query: "a", ...page }, {}),
    answers: { "GET msearch.kugou.com /api/v3/search/singer": list },
    requests: [
      { url: "http://msearch.kugou.com/api/v3/search/singer?keyword=a&page=2&pagesize=30&version=9108&plat=0" },
    ],
  },
  {
    name: "playlist by number",
    ask: (kg) => kg.playlist("546903", { page: 1, size: 1000 }, {}),
    answers: {
      "GET mobilecdn.kugou.com /api/v3/special/song": list,
      "GET mobilecdn.kugou.com /api/v3/special/info": about,
    },
    requests: [
      {
        url: "http://mobilecdn.kugou.com/api/v3/special/song?specialid=546903&page=1&pagesize=300&version=9108&area_code=1",
      },
      { url: "http://mobilecdn.kugou.com/api/v3/special/info?specialid=546903&version=9108" },
    ],
  },
  {
    name: "playlist by gcid, then by its global id",
    ask: (kg) => kg.playlist("gcid_3zxyz1abcz0", page, {}),
    answers: {
      "POST t.kugou.com /v1/songlist/batch_decode": {
        data: { list: [{ global_collection_id: "collection_3_1_2_0" }] },
      },
      "GET mobiles.kugou.com /api/v5/special/song_v2": list,
      "GET mobiles.kugou.com /api/v5/special/info_v2": about,
    },
    requests: [
      {
        url: signed(
          "https://t.kugou.com/v1/songlist/batch_decode",
          "dfid=-&appid=1005&mid=0&clientver=20109&clienttime=640612895&uuid=-",
          ANDROID,
          gcidBody,
        ),
        method: "POST",
        body: gcidBody,
      },
      {
        url: signed(
          "https://mobiles.kugou.com/api/v5/special/song_v2",
          `${share}&plat=0&version=8000&page=2&pagesize=30`,
          WEB,
        ),
        headers: shareHeaders,
      },
      {
        url: signed("https://mobiles.kugou.com/api/v5/special/info_v2", `${share}&format=jsonp`, WEB),
        headers: shareHeaders,
      },
    ],
  },
  {
    name: "album",
    ask: (kg) => kg.album("960399", page, {}),
    answers: { "GET mobiles.kugou.com /api/v3/album/song": list, "GET mobilecdn.kugou.com /api/v3/album/info": about },
    requests: [
      {
        url: "http://mobiles.kugou.com/api/v3/album/song?version=9108&albumid=960399&plat=0&pagesize=30&area_code=0&page=2&with_res_tag=0",
      },
      { url: "http://mobilecdn.kugou.com/api/v3/album/info?albumid=960399&version=9108&area_code=1" },
    ],
  },
  {
    name: "boards",
    ask: (kg) => kg.boards({}),
    answers: { "GET mobilecdnbj.kugou.com /api/v5/rank/list": { data: { info: [] } } },
    requests: [
      {
        url: "http://mobilecdnbj.kugou.com/api/v5/rank/list?version=9108&plat=0&showtype=2&parentid=0&apiver=6&area_code=1&withsong=1",
      },
    ],
  },
  {
    name: "board",
    ask: (kg) => kg.board("8888", { page: 1, size: 100 }, {}),
    answers: { "GET mobilecdnbj.kugou.com /api/v3/rank/song": list },
    requests: [
      {
        url: "http://mobilecdnbj.kugou.com/api/v3/rank/song?version=9108&ranktype=1&plat=0&pagesize=100&area_code=1&page=1&rankid=8888&with_res_tag=0&show_portrait_mv=1",
      },
    ],
  },
  {
    name: "comments, hot",
    ask: (kg) => kg.comments({ songId: HASH, sort: "hot", ...page }, {}),
    answers: { "GET m.comment.service.kugou.com /r/v1/rank/topliked": { err_code: 0, count: 0, list: [] } },
    requests: [{ url: comments("topliked") }],
  },
  {
    name: "comments, new",
    ask: (kg) => kg.comments({ songId: HASH, sort: "new", ...page }, {}),
    answers: { "GET m.comment.service.kugou.com /r/v1/rank/newest": { err_code: 0, count: 0, list: [] } },
    requests: [{ url: comments("newest") }],
  },
  {
    name: "account check",
    ask: (kg) =>
      kg.accounts.check({ id: "kg:7", label: "账号 1", credentials: { userid: "7", token: "t/+=", mid: "9" } }, {}),
    answers: { "GET kugouvip.kugou.com /v1/get_union_vip": { status: 1, data: { is_vip: 0 } } },
    requests: [
      {
        url: signed(
          "https://kugouvip.kugou.com/v1/get_union_vip",
          "busi_type=concept&dfid=-&mid=9&uuid=-&appid=1005&clientver=20489&clienttime=1795242008&token=t/%2B%3D&userid=7",
          ANDROID,
        ),
      },
    ],
  },
];

describe("requests as documented", () => {
  test.each(rows)("$name", async ({ ask, answers, requests }) => {
    const { kg, asked } = stubKg(
      answers,
      NOW,
      kgConfig((config) => {
        config.client.public_key = kgPublicKey;
      }),
    );
    await ask(kg);
    const shown = asked.map((request, index) => ({
      url: request.url,
      method: request.method ?? "GET",
      body: request.body,
      headers: requests[index]?.headers === undefined ? undefined : request.headers,
    }));
    expect(shown).toEqual(
      requests.map(({ url = "", method = "GET", body, headers }) => ({ url, method, body, headers })),
    );
  });

  test("the song's cover from the shop", async () => {
    const bare = {
      error_code: 0,
      data: [[{ songname: "歌", author_name: "甲", album_audio_id: 5, audio_info: { hash: HASH } }]],
    };
    const { kg, asked } = stubKg(
      {
        "POST gateway.kugou.com /v3/album_audio/audio": bare,
        "POST media.store.kugou.com /v1/get_res_privilege": {
          data: [{ info: { image: "http://imge.kugou.com/stdmusic/{size}/a.jpg", imgsize: [] } }],
        },
      },
      NOW,
    );
    expect(await kg.cover(HASH, {})).toBe("http://imge.kugou.com/stdmusic/480/a.jpg");
    expect(asked[1]).toMatchObject({
      url: "http://media.store.kugou.com/v1/get_res_privilege",
      method: "POST",
      headers: {
        "KG-RC": "1",
        "KG-THash": "expand_search_manager.cpp:852736169:451",
        "User-Agent": "KuGou2012-9020-ExpandSearchManager",
      },
      body: `{"appid":1001,"area_code":"1","behavior":"play","clientver":"9020","need_hash_offset":1,"relate":1,"resource":[{"album_audio_id":"5","album_id":"","hash":"${HASH}","id":0,"name":"甲 - 歌.mp3","type":"audio"}],"token":"","userid":0,"vip":0}`,
    });
  });
});
