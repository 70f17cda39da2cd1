import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import NodeID3 from "node-id3";
import { makeAudio } from "../platforms/audio.ts";

export interface CrowdSong {
  path: string;
  title: string;
  artist: string;
}

const SURNAMES = [..."赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"];
const WORDS = [..."天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"];

/** The n-th song of a crowd in which no two are alike. */
export function crowdSong(n: number): CrowdSong {
  const pick = (list: string[], at: number) => list[at % list.length] ?? "";
  const artist = `${pick(SURNAMES, n)}${pick(WORDS, Math.floor(n / 7))}${pick(WORDS, Math.floor(n / 11))}`;
  const title = `${pick(WORDS, n)}${pick(WORDS, Math.floor(n / 40))}${pick(WORDS, Math.floor(n / 1600))} ${n.toString(36)}`;
  return { path: `${Math.floor(n / 200)}/${artist} - ${title}.mp3`, title, artist };
}

/** Writes `count` small real MP3s, each with its own tags in front of the same second of audio. */
export async function writeCrowd(folder: string, count: number): Promise<void> {
  const audio = await Bun.file((await makeAudio({ seconds: 1, format: "mp3", tone: 440, bitrate: 32 })).path).bytes();
  for (let at = 0; at < count; at += 200) await mkdir(join(folder, String(at / 200)), { recursive: true });
  let next = 0;
  const work = async () => {
    while (next < count) {
      const song = crowdSong(next++);
      const tag = NodeID3.create({ title: song.title, artist: song.artist, album: "Crowd" });
      await writeFile(join(folder, song.path), Buffer.concat([tag, audio]));
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}
