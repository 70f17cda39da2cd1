"""Reads the tags of the named files with mutagen and prints one JSON list: an independent judge of our writer."""

import json
import sys

from mutagen.flac import FLAC
from mutagen.id3 import ID3
from mutagen.mp4 import MP4
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis


def from_id3(path):
    tag = ID3(path)
    text = lambda name: [str(item) for frame in tag.getall(name) for item in frame.text]
    user = {frame.desc: [str(item) for item in frame.text] for frame in tag.getall("TXXX")}
    lyrics = {frame.desc: frame.text for frame in tag.getall("USLT")}
    pictures = tag.getall("APIC")
    return {
        "version": list(tag.version[:2]),
        "title": text("TIT2"),
        "artists": user.get("ARTISTS") or text("TPE1"),
        "joined": text("TPE1"),
        "album": text("TALB"),
        "albumArtists": text("TPE2"),
        "track": text("TRCK"),
        "disc": text("TPOS"),
        "year": text("TDRC"),
        "lyric": lyrics.get(""),
        "translation": lyrics.get("translation"),
        "cover": pictures[0].data.hex() if pictures else None,
        "mime": pictures[0].mime if pictures else None,
        "pictures": len(pictures),
        "ids": {name: value[0] for name, value in user.items() if name.startswith("LX_")},
    }


def from_vorbis(tag, pictures):
    get = lambda name: list(tag.get(name, []))
    return {
        "title": get("title"),
        "artists": get("artist"),
        "album": get("album"),
        "albumArtists": get("albumartist"),
        "track": get("tracknumber"),
        "disc": get("discnumber"),
        "year": get("date"),
        "lyric": (get("lyrics") or [None])[0],
        "translation": (get("lyrics_translation") or [None])[0],
        "cover": pictures[0].data.hex() if pictures else None,
        "mime": pictures[0].mime if pictures else None,
        "pictures": len(pictures),
        "ids": {name.upper(): value for name, value in tag if name.upper().startswith("LX_")},
    }


def ogg_pictures(tag):
    import base64

    from mutagen.flac import Picture

    return [Picture(base64.b64decode(item)) for item in tag.get("metadata_block_picture", [])]


def from_mp4(path):
    tag = MP4(path).tags
    free = lambda name: [item.decode() for item in tag.get("----:com.apple.iTunes:" + name, [])]
    covers = tag.get("covr", [])
    prefix = "----:com.apple.iTunes:LX_"
    return {
        "title": tag.get("\xa9nam", []),
        "artists": free("ARTISTS") or tag.get("\xa9ART", []),
        "album": tag.get("\xa9alb", []),
        "albumArtists": tag.get("aART", []),
        "track": [str(tag["trkn"][0][0])] if "trkn" in tag else [],
        "disc": [str(tag["disk"][0][0])] if "disk" in tag else [],
        "year": tag.get("\xa9day", []),
        "lyric": (tag.get("\xa9lyr") or [None])[0],
        "translation": (free("LYRICS_TRANSLATION") or [None])[0],
        "cover": bytes(covers[0]).hex() if covers else None,
        "mime": {13: "image/jpeg", 14: "image/png"}.get(covers[0].imageformat) if covers else None,
        "pictures": len(covers),
        "ids": {key[len(prefix) - 3 :]: value[0].decode() for key, value in tag.items() if key.startswith(prefix)},
    }


def read(path):
    if path.endswith(".mp3"):
        return from_id3(path)
    if path.endswith(".flac"):
        file = FLAC(path)
        return from_vorbis(file.tags, file.pictures)
    if path.endswith(".m4a"):
        return from_mp4(path)
    tag = (OggOpus if path.endswith(".opus") else OggVorbis)(path).tags
    return from_vorbis(tag, ogg_pictures(tag))


print(json.dumps([read(path) for path in sys.argv[1:]]))
