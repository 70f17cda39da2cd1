export type TagFormat = "mp3" | "flac" | "m4a" | "ogg";

/** By extension; taglib chooses its reader by the same. Undefined = a format that we do not tag. */
export function tagFormat(path: string): TagFormat | undefined {
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (extension === "mp3" || extension === "flac") return extension;
  if (extension === "m4a" || extension === "mp4") return "m4a";
  if (extension === "ogg" || extension === "oga" || extension === "opus") return "ogg";
  return undefined;
}
