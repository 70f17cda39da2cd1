import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { Codec } from "../cache/parsed.ts";
import { QUALITIES, SOURCE_IDS, type Song } from "../core/types.ts";

/** The common forms as they lie in the cache: what comes back is checked like everything from outside. */

const text = Type.String();
const optional = Type.Optional;
const source = Type.Union(SOURCE_IDS.map((id) => Type.Literal(id)));
const quality = Type.Union(QUALITIES.map((word) => Type.Literal(word)));

const artist = Type.Object({
  id: optional(text),
  mid: optional(text),
  type: optional(Type.Number()),
  name: text,
  avatar: optional(text),
  sizableAvatar: optional(text),
});
const qualityInfo = Type.Object({ size: optional(Type.Number()), hash: optional(text) });

const songFields = {
  source,
  songId: text,
  name: text,
  originalName: optional(text),
  nameExtra: optional(text),
  artists: Type.Array(artist),
  album: optional(Type.Object({ id: optional(text), mid: optional(text), name: text })),
  durationSeconds: optional(Type.Number()),
  cover: optional(text),
  sizableCover: optional(text),
  qualities: Type.Partial(Type.Record(quality, qualityInfo)),
  publishDate: optional(text),
  mvId: optional(text),
  bpm: optional(Type.Number()),
  language: optional(text),
  genre: optional(Type.Array(text)),
  track: optional(Type.Number()),
  disc: optional(Type.Number()),
  ids: Type.Record(text, text),
  isOriginal: optional(Type.Boolean()),
  tag: optional(text),
};
// Variants have no variants of their own.
export const songForm = Type.Object({ ...songFields, variants: optional(Type.Array(Type.Object(songFields))) });

const collection = Type.Object({
  source,
  type: Type.Union([Type.Literal("playlist"), Type.Literal("album"), Type.Literal("artist")]),
  id: text,
  name: text,
  author: optional(text),
  cover: optional(text),
  description: optional(text),
  songCount: optional(Type.Number()),
  playCount: optional(Type.Number()),
  publishDate: optional(text),
});

const user = Type.Object({ id: optional(text), name: text, avatar: optional(text) });
const commentFields = {
  id: text,
  text,
  time: optional(Type.Number()),
  timeText: optional(text),
  location: optional(text),
  user,
  likes: optional(Type.Number()),
  images: optional(Type.Array(text)),
  replyCount: optional(Type.Number()),
};
// Replies to replies are shown by no client.
const comment = Type.Object({ ...commentFields, replies: optional(Type.Array(Type.Object(commentFields))) });

const page = <T extends TSchema>(item: T) =>
  Type.Object({ total: Type.Number(), page: Type.Number(), size: Type.Number(), list: Type.Array(item) });

const mvFile = Type.Object({
  url: text,
  hash: optional(text),
  bitrate: optional(Type.Number()),
  size: optional(Type.Number()),
});

const FORMS = {
  song: songForm,
  lyric: Type.Object({ lyric: text, tlyric: text, rlyric: text, lxlyric: text }),
  text,
  texts: Type.Array(text),
  songs: page(songForm),
  collections: page(collection),
  content: Type.Object({ info: collection, songs: page(songForm) }),
  boards: Type.Array(Type.Object({ source, id: text, name: text, cover: optional(text), updateText: optional(text) })),
  comments: page(comment),
  mv: Type.Object({
    source,
    id: text,
    name: text,
    originalName: optional(text),
    nameExtra: optional(text),
    intro: optional(text),
    artists: Type.Array(artist),
    durationSeconds: optional(Type.Number()),
    cover: optional(text),
    sizableCover: optional(text),
    tags: optional(Type.Array(text)),
    files: Type.Record(text, mvFile),
    ids: Type.Record(text, text),
  }),
};

export type StoredForm = keyof typeof FORMS;
export type StoredValue<F extends StoredForm> = Static<(typeof FORMS)[F]>;

function codec<T extends TSchema>(schema: T): Codec<Static<T>> {
  // Compiled on first use: nothing works at import time.
  let check: ReturnType<typeof TypeCompiler.Compile<T>> | undefined;
  return {
    decode(value) {
      check ??= TypeCompiler.Compile(schema);
      return check.Check(value) ? value : undefined;
    },
  };
}

/** One codec per form; a key is always read with the same one. */
export const CODECS: { [F in StoredForm]: Codec<StoredValue<F>> } = {
  song: codec(FORMS.song),
  lyric: codec(FORMS.lyric),
  text: codec(FORMS.text),
  texts: codec(FORMS.texts),
  songs: codec(FORMS.songs),
  collections: codec(FORMS.collections),
  content: codec(FORMS.content),
  boards: codec(FORMS.boards),
  comments: codec(FORMS.comments),
  mv: codec(FORMS.mv),
};

/** A value of the common form, by type only: `Song` and its stored form must not drift apart. */
export const asSong = (value: StoredValue<"song">): Song => value;
