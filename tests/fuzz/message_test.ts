/** Properties of the message room that hold for every input. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeHeaderText,
  editHeader,
  eightBitClean,
  encodeHeaderText,
  foldField,
  parseHeader,
  quotedPrintable,
  receivedField,
} from "../../src/message/mod.ts";
import { runs } from "../support/fuzz_runs.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const headerText = fc.oneof(
  fc.uint8Array({ maxLength: 120 }),
  fc.array(
    fc.constantFrom(
      "\r\n",
      "\n",
      "A: 1\r\n",
      "B:\r\n",
      " x\r\n",
      "From x\r\n",
      ":",
      "\0",
      "ü",
      "X-Y: =?utf-8?q?a?=\r\n",
      "\r",
    ),
    { maxLength: 20 },
  ).map((parts) => encoder.encode(parts.join(""))),
);

Deno.test("any bytes can be read as a header, and the fields lie in it in order without overlap", () => {
  fc.assert(
    fc.property(headerText, (bytes) => {
      const header = parseHeader(bytes);
      let at = 0;
      for (const field of header.fields) {
        assert.ok(field.start >= at && field.end > field.start && field.end <= header.end);
        assert.equal(decoder.decode(bytes.subarray(field.start, field.start + field.name.length)), field.name);
        assert.ok(!/\n/.test(field.value()));
        field.text();
        at = field.end;
      }
      assert.ok(header.end <= header.bodyOffset && header.bodyOffset <= bytes.length);
      if (header.complete) assert.match(decoder.decode(bytes.subarray(header.end, header.bodyOffset)), /^\r?\n$/);
      else assert.equal(header.end, bytes.length);
    }),
    { numRuns: runs(10_000) },
  );
});

Deno.test("adding a field and deleting it gives back the same bytes", () => {
  const field = foldField("X-Added", "1");
  fc.assert(
    fc.property(headerText, fc.nat(10), (bytes, index) => {
      const header = parseHeader(bytes);
      // A header that is cut off in mid-line is given the line end it lacks.
      fc.pre(header.complete || bytes.length === 0 || bytes[bytes.length - 1] === 0x0a);
      const editor = editHeader(bytes);
      const before = editor.count();
      editor.insert(index, field);
      assert.equal(editor.count(), before + 1);
      assert.equal(parseHeader(editor.result()).fields.filter(({ lower }) => lower === "x-added").length, 1);
      assert.ok(editor.delete("x-added", 0));
      assert.deepEqual([...editor.result()], [...bytes]);
    }),
    { numRuns: runs(5_000) },
  );
});

Deno.test("whatever the value, a folded field is one field with lines under the limit", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.string({ unit: fc.constantFrom(" ", "\t", "\r\n", "a", "ü"), maxLength: 400 }),
      ),
      (value) => {
        const bytes = foldField("X-Any", value);
        const header = parseHeader(bytes);
        assert.equal(header.fields.length, 1);
        assert.equal(header.fields[0]?.end, bytes.length);
        const lines = decoder.decode(bytes).split("\r\n");
        assert.equal(lines.pop(), "");
        lines.forEach((line, i) => {
          assert.ok(encoder.encode(line).length <= 998);
          assert.ok(i === 0 || line.trim() !== "");
        });
      },
    ),
    { numRuns: runs(5_000) },
  );
});

Deno.test("header text comes back as it was, on one line of ASCII", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const encoded = encodeHeaderText(text);
      assert.match(encoded, /^[ -~]*$/);
      assert.equal(decodeHeaderText(encoded), text.replace(/[\r\n\t]+/g, " ").replace(/\p{Cc}/gu, "?"));
    }),
    { numRuns: runs(5_000) },
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."=?utf-8qb_ AZ+/"), maxLength: 60 }), (text) => {
      assert.equal(typeof decodeHeaderText(text), "string");
    }),
    { numRuns: runs(5_000) },
  );
});

Deno.test("whatever the client says, a Received field is one field of ASCII", () => {
  const any = fc.string({ unit: "binary", maxLength: 300 });
  fc.assert(
    fc.property(any, any, any, any, any, (helo, clientName, rcpt, id, authenticatedAs) => {
      const tls = { version: helo, cipher: id, bits: 128 };
      const bytes = receivedField({
        helo,
        clientName,
        ip: "192.0.2.1",
        hostname: "mx.example.org",
        with: "ESMTPSA",
        id,
        rcpt: `${rcpt}@example.org`,
        tls,
        authenticatedAs,
        date: 0,
      });
      assert.ok(eightBitClean(bytes));
      const header = parseHeader(bytes);
      assert.equal(header.fields.length, 1);
      assert.equal(header.fields[0]?.end, bytes.length);
      assert.match(header.fields[0]?.value() ?? "", /; ?\t?Thu, 01 Jan 1970 00:00:00 \+0000$/);
    }),
    { numRuns: runs(3_000) },
  );
});

Deno.test("quoted-printable decodes to what was encoded", () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: "grapheme" }), { maxLength: 5 }), (parts) => {
    const text = parts.map((part) => part.replace(/[\r\n]/g, "")).join("\r\n");
    const encoded = quotedPrintable(text);
    assert.ok(encoded.split("\r\n").every((line) => /^[ -~]{0,76}$/.test(line) && !line.endsWith(" ")));
    const octets = encoded.replace(/=\r\n/g, "").replace(
      /=([0-9A-F]{2})/g,
      (_, hex) => String.fromCharCode(parseInt(hex, 16)),
    );
    assert.equal(decoder.decode(Uint8Array.from(octets, (char) => char.charCodeAt(0))), text);
  }));
});
