import { expect, test } from "bun:test";
import { formatLength, formatSize } from "../../src/http/routes/forms.ts";
import vectors from "../fixtures/forms.json";

test.each(vectors.sizeFormat as [number, string][])("formatSize(%d) = %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each(vectors.timeLengthFormat as [number, string][])("formatLength(%d) = %s", (seconds, text) => {
  expect(formatLength(seconds)).toBe(text);
});
