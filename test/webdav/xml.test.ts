import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createXmlReader, escapeXml, type XmlLimits } from "../../src/webdav/xml.ts";

const LIMITS: XmlLimits = { maxLength: 10_000, maxDepth: 8, maxPiece: 500, fault: "upstream_changed" };

/** The document as events, text runs joined. */
function read(document: string, cuts: number[] = [], limits = LIMITS): string[] {
  const events: string[] = [];
  let text = "";
  const flush = () => {
    if (text !== "") events.push(JSON.stringify(text));
    text = "";
  };
  const reader = createXmlReader(limits, {
    open({ ns, local }, attributes) {
      flush();
      const shown = [...attributes]
        .filter(([key]) => !key.startsWith("xmlns"))
        .map(([key, value]) => ` ${key}=${value}`);
      events.push(`<{${ns}}${local}${shown.join("")}>`);
    },
    text(run) {
      text += run;
    },
    close({ local }) {
      flush();
      events.push(`</${local}>`);
    },
  });
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    reader.write(document.slice(at, cut));
    at = Math.max(at, cut);
  }
  reader.write(document.slice(at));
  reader.end();
  return events;
}

const SAMPLE =
  '<?xml version="1.0" encoding="utf-8"?>\n<!-- <x> & -->\n<d:a xmlns:d="DAV:" xmlns="urn:x"><b q="1 &gt; 0" p=\'a"b>\'>' +
  't&amp;&#x4e2d;&#25991;<![CDATA[<raw> & ]]>z</b><d:c/><e xmlns=""><f></f></e ></d:a>\n';
const EVENTS = [
  "<{DAV:}a>",
  '<{urn:x}b q=1 > 0 p=a"b>>',
  '"t&中文<raw> & z"',
  "</b>",
  "<{DAV:}c>",
  "</c>",
  "<{}e>",
  "<{}f>",
  "</f>",
  "</e>",
  "</a>",
];

describe("reading", () => {
  test("elements, namespaces, attributes, text, CDATA, comments", () => {
    expect(read(SAMPLE).filter((event) => event !== '"\\n"')).toEqual(EVENTS);
  });

  test("any cutting into pieces gives the same", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: SAMPLE.length }), { maxLength: 20 }), (cuts) => {
        expect(read(SAMPLE, cuts)).toEqual(read(SAMPLE));
      }),
    );
  });

  test("one character at a time", () => {
    expect(
      read(
        SAMPLE,
        Array.from({ length: SAMPLE.length }, (_, at) => at),
      ),
    ).toEqual(read(SAMPLE));
  });

  test("what is escaped is read back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 100 }), (text) => {
        const events = read(`<a b="${escapeXml(text)}">${escapeXml(text)}</a>`);
        const clean = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
        expect(events[1] ?? '""').toBe(clean === "" ? "</a>" : JSON.stringify(clean));
      }),
    );
  });
});

const BOMB = `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>`;

test.each([
  ["entity bomb", BOMB],
  ["external entity", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
  ["doctype without entities", "<!DOCTYPE html><html></html>"],
  ["doctype inside", "<a><!DOCTYPE b></a>"],
  ["unknown entity", "<a>&nbsp;</a>"],
  ["bare ampersand", "<a>a & b</a>"],
  ["endless entity", `<a>&${"x".repeat(600)};</a>`],
  ["character zero", "<a>&#0;</a>"],
  ["lone surrogate", "<a>&#xd800;</a>"],
  ["beyond Unicode", "<a>&#x110000;</a>"],
  ["too deep", "<a>".repeat(9)],
  ["too long a tag", `<a b="${"x".repeat(600)}`],
  ["too long a comment", `<a><!--${"x".repeat(600)}`],
  ["too long as a whole", `<a>${"<b/>".repeat(3000)}</a>`],
  ["not closed", "<a><b></b>"],
  ["closed twice", "<a></a></a>"],
  ["closed crosswise", "<a><b></a></b>"],
  ["two roots", "<a/><b/>"],
  ["nothing", ""],
  ["text outside", "<a/>x"],
  ["no XML", "just text"],
  ["a page", "<html><body><br></body></html>"],
  ["unknown prefix", "<x:a/>"],
  ["prefix bound to nothing", '<x:a xmlns:x=""/>'],
  ["same attribute twice", '<a b="1" b="2"/>'],
  ["attribute without quotes", "<a b=1/>"],
  ["attribute without value", "<a b/>"],
  ["tag in a tag", "<a <b/>"],
  ["no name", "< a/>"],
  ["number as a name", "<1/>"],
])("refused: %s", (_name, document) => {
  expect(() => read(document)).toThrow("XML");
});

test("any text either reads or is refused with our own error", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("<", ">", "a", "/", "&", ";", '"', "=", "!", "[", "]", "-", "?", " ", "x:")),
      (parts) => {
        try {
          read(parts.join(""));
        } catch (error) {
          expect(error).toMatchObject({ kind: "upstream_changed" });
        }
      },
    ),
    { numRuns: 2000 },
  );
});
