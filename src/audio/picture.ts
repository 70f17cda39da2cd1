const HUGE_BYTES = 2 << 20;
const HUGE_PIXELS = 3000;
const RESIZED_PIXELS = 1400;
const MAX_DECODED_PIXELS = 100_000_000;

export type PictureType = "image/jpeg" | "image/png" | "image/webp" | "image/gif" | "image/bmp" | "image/avif";

const EXTENSIONS: Record<PictureType, string> = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
  "image/gif": "gif",
  "image/bmp": "bmp",
  "image/avif": "avif",
};

export const extensionOfPicture = (type: PictureType): string => EXTENSIONS[type];

/** By the first bytes: platforms send PNG as `.jpg` and HTML as `image/jpeg`. Undefined = not an image that we know. */
export function pictureType(bytes: Uint8Array): PictureType | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (/^RIFF[\s\S]{4}WEBP/.test(text)) return "image/webp";
  if (/^GIF8[79]a/.test(text)) return "image/gif";
  if (/^[\s\S]{4}ftypavi[fs]/.test(text)) return "image/avif";
  if (text.startsWith("BM") && bytes.length > 26) return "image/bmp";
  return undefined;
}

/**
 * The picture as it goes into a tag. Only huge ones are made smaller: players read the whole tag before the first
 * sound. WebP, AVIF and BMP become JPEG, which every player shows. A picture that cannot be read is left out.
 */
export async function coverForTag(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const type = pictureType(bytes);
  if (type === undefined) return undefined;
  const common = type === "image/jpeg" || type === "image/png" || type === "image/gif";
  try {
    const image = new Bun.Image(bytes, { maxPixels: MAX_DECODED_PIXELS });
    const { width, height } = await image.metadata();
    const huge = bytes.length > HUGE_BYTES || Math.max(width, height) > HUGE_PIXELS;
    if (common && !huge) return bytes;
    return await image
      .resize(RESIZED_PIXELS, RESIZED_PIXELS, { fit: "inside", withoutEnlargement: true })
      .jpeg({ quality: 90 })
      .bytes();
  } catch {
    return common && bytes.length <= HUGE_BYTES ? bytes : undefined;
  }
}
