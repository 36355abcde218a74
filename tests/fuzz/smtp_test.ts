/** Properties of the SMTP room that hold for every input. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressDomain,
  BareNewlineScanner,
  DotDecoder,
  DotEncoder,
  EVERYTHING_OFFERED,
  formatMailCommand,
  formatPath,
  formatRcptCommand,
  formatReply,
  InputBuffer,
  NewlineNormalizer,
  parseCommand,
  parseEhlo,
  parsePath,
  ProtocolError,
  readMailParameters,
  readRcptParameters,
  ReplyParser,
  xtextDecode,
  xtextEncode,
} from "../../src/smtp/mod.ts";
import { utf8AddressDecode, utf8AddressEncode } from "../../src/smtp/xtext.ts";
import { runs } from "../support/fuzz_runs.ts";

const encoder = new TextEncoder();

/** Bytes rich in what framing turns on. */
const framing = fc.array(fc.constantFrom(0x0d, 0x0a, 0x2e, 0x41, 0x00, 0xff), { maxLength: 60 }).map((octets) =>
  Uint8Array.from(octets)
);
const crlfText = fc.array(fc.constantFrom("\r\n", ".", "a", "b.", "\r\n."), { maxLength: 40 }).map((parts) =>
  encoder.encode(parts.join(""))
);
const cuts = fc.array(fc.nat(60), { maxLength: 6 });

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [0, ...at.filter((place) => place <= bytes.length).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");
}

/** The definition: find the first CRLF . CRLF after an imagined CRLF, take one dot off each line begin. */
function decodeNaively(bytes: Uint8Array): { content: string; used: number; done: boolean; bare: boolean } {
  const stream = "\r\n" + latin1(bytes);
  const end = stream.indexOf("\r\n.\r\n");
  const done = end >= 0;
  const raw = done ? stream.slice(0, end + 2) : stream;
  const content = raw.replaceAll("\r\n.", "\r\n").slice(2);
  // A CR that ends the input may still become a CRLF.
  const bare = /(?<!\r)\n|\r(?!\n|$)/.test(content);
  return { content, used: done ? end + 3 : bytes.length, done, bare };
}

Deno.test("the dot decoder agrees with its definition for every input and every cut", () => {
  fc.assert(
    fc.property(framing, cuts, (bytes, at) => {
      const expected = decodeNaively(bytes);
      const data = new DotDecoder();
      const slices: Uint8Array[] = [];
      let used = 0;
      for (const chunk of cut(bytes, at)) used += data.push(chunk, (slice) => slices.push(slice.slice()));
      assert.equal(data.done, expected.done);
      assert.equal(used, expected.used);
      const content = latin1(concat(slices));
      if (expected.done) assert.equal(content, expected.content);
      // An unfinished ".CR" at the end is not content yet.
      else assert.ok(content === expected.content || `${content}\r` === expected.content);
      if (expected.done) assert.equal(data.bareNewline, expected.bare);
    }),
    { numRuns: runs(20_000) },
  );
});

Deno.test("what the dot encoder writes, the dot decoder reads back", () => {
  fc.assert(
    fc.property(fc.oneof(framing, crlfText), cuts, cuts, (content, encodeCuts, decodeCuts) => {
      const encode = new DotEncoder();
      const wire = concat([...cut(content, encodeCuts).map((chunk) => encode.encode(chunk)), encode.finish()]);
      const decode = new DotDecoder();
      const slices: Uint8Array[] = [];
      let used = 0;
      for (const chunk of cut(wire, decodeCuts)) used += decode.push(chunk, (slice) => slices.push(slice.slice()));
      assert.ok(decode.done);
      assert.equal(used, wire.length);
      const got = latin1(concat(slices));
      const sent = latin1(content);
      assert.equal(got, sent === "" || sent.endsWith("\r\n") ? sent : `${sent}\r\n`);
    }),
    { numRuns: runs(10_000) },
  );
});

Deno.test("after normalizing there is no bare CR or LF, and CRLF content is not changed", () => {
  fc.assert(
    fc.property(framing, cuts, (bytes, at) => {
      const normalizer = new NewlineNormalizer();
      const slices: Uint8Array[] = [];
      const write = (slice: Uint8Array) => slices.push(slice.slice());
      for (const chunk of cut(bytes, at)) normalizer.push(chunk, write);
      normalizer.finish(write);
      const out = concat(slices);
      assert.equal(latin1(out), latin1(bytes).replace(/\r\n|\r|\n/g, "\r\n"));
      const before = new BareNewlineScanner();
      for (const chunk of cut(bytes, at)) before.push(chunk);
      assert.equal(before.finish(), latin1(out) !== latin1(bytes));
      const after = new BareNewlineScanner();
      after.push(out);
      assert.ok(!after.finish());
    }),
    { numRuns: runs(10_000) },
  );
});

Deno.test("lines come out as they went in, over-long ones once as too long", () => {
  const limit = 200;
  const line = fc.tuple(fc.nat(400), fc.constantFrom("A", "\n", "\r", "A\r", "\nA")).map(([length, filler]) =>
    filler.repeat(length).slice(0, length)
  );
  // Cuts of all sizes, and often right between a CR and its LF.
  const sizes = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 4 })));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), sizes, fc.boolean(), (written, stream, atCr) => {
      const text = written.join("\r\n");
      const lines = text.split("\r\n");
      const rest = lines.pop() ?? "";
      const expected = lines.map((content) => content.length > limit ? "too-long" : content);
      if (rest.replace(/\r$/, "").length > limit) expected.push("too-long");
      const input = new InputBuffer();
      const got: string[] = [];
      for (let at = 0; at < text.length;) {
        const size = stream.next().value as number;
        const cr = text.indexOf("\r", at);
        const end = atCr && cr >= 0 && cr < at + size ? cr + 1 : at + size;
        input.append(encoder.encode(text.slice(at, end)));
        at = end;
        for (let next = input.readLine(limit); next !== undefined; next = input.readLine(limit)) {
          got.push(next === "too-long" ? next : latin1(next));
        }
        assert.ok(input.length <= limit + 1);
      }
      assert.deepEqual(got, expected);
    }),
    { numRuns: runs(3_000) },
  );
});

const commandLine = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.string({ unit: "binary", maxLength: 80 }).map((text) => encoder.encode(text)),
  fc.tuple(
    fc.constantFrom("MAIL FROM:", "RCPT TO:", "EHLO ", "BDAT ", "AUTH ", "VRFY ", "NOOP ", "DATA", "rcpt to: "),
    fc.string({ unit: fc.constantFrom(...'<>@"\\.[]:, abü1=;+-'), maxLength: 40 }),
  ).map((parts) => encoder.encode(parts.join(""))),
);

Deno.test("no command line makes the parser throw, and every refusal is a proper reply", () => {
  fc.assert(
    fc.property(commandLine, (line) => {
      const result = parseCommand(line);
      if (result.kind === "error") {
        assert.ok(result.reply.code === 500 || result.reply.code === 501);
        assert.match(result.reply.enhanced ?? "", /^5\.[0-9]\.[0-9]$/);
        assert.match(result.verb, /^[A-Z]{0,16}$/);
        return;
      }
      const { command } = result;
      if (command.verb !== "MAIL" && command.verb !== "RCPT") return;
      // RFC 5321 §4.5.3.1.3, with room for what lower case and NFC may add
      assert.ok(encoder.encode(command.path).length <= 400);
      // A path that was taken is one that can be sent, and it is in its normal form already.
      const again = parsePath(formatPath(command.path), 0, command.verb === "MAIL" ? "reverse" : "forward");
      assert.deepEqual(again.kind === "path" ? again.path : again, command.path);
      assert.equal(addressDomain(command.path), addressDomain(command.path).toLowerCase());
    }),
    { numRuns: runs(20_000) },
  );
});

const PEER = parseEhlo({
  code: 250,
  text: [
    "mx",
    "SIZE",
    "8BITMIME",
    "CHUNKING",
    "BINARYMIME",
    "SMTPUTF8",
    "DSN",
    "AUTH PLAIN",
    "REQUIRETLS",
    "MT-PRIORITY",
    "DELIVERBY",
    "NO-SOLICITING",
  ],
});
const parameterValue = fc.option(
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }),
    fc.constantFrom(
      "1",
      "7BIT",
      "<>",
      "a+2Bb",
      "FULL",
      "60;R",
      "60;NT",
      "-3",
      "a:b",
      "NEVER",
      "SUCCESS,DELAY",
      "rfc822;a+20b",
    ),
  ),
  { nil: undefined },
);

Deno.test("no parameters make the readers throw, and what they take survives the way to the next server", () => {
  const keyword = fc.constantFrom(
    "SIZE",
    "BODY",
    "SMTPUTF8",
    "AUTH",
    "RET",
    "ENVID",
    "REQUIRETLS",
    "BY",
    "MT-PRIORITY",
    "SOLICIT",
    "X",
  );
  fc.assert(
    fc.property(fc.array(fc.record({ keyword, value: parameterValue }), { maxLength: 5 }), (parameters) => {
      const result = readMailParameters(parameters, EVERYTHING_OFFERED);
      if (result.kind === "error") return void assert.ok(result.reply.code === 501 || result.reply.code === 555);
      const line = formatMailCommand("a@example.org", result.parameters, PEER, result.parameters.size ?? 0);
      const command = parseCommand(encoder.encode(line));
      assert.ok(command.kind === "command" && command.command.verb === "MAIL", line);
      const again = readMailParameters(command.command.parameters, EVERYTHING_OFFERED);
      const { body, ...rest } = result.parameters;
      assert.deepEqual(again, {
        kind: "parameters",
        parameters: { size: 0, ...rest, ...(body === undefined || body === "7bit" ? {} : { body }) },
      });
    }),
    { numRuns: runs(10_000) },
  );
  fc.assert(
    fc.property(
      fc.array(fc.record({ keyword: fc.constantFrom("NOTIFY", "ORCPT", "X"), value: parameterValue }), {
        maxLength: 3,
      }),
      (parameters) => {
        const result = readRcptParameters(parameters, EVERYTHING_OFFERED);
        if (result.kind === "error") return void assert.ok(result.reply.code === 501 || result.reply.code === 555);
        const command = parseCommand(encoder.encode(formatRcptCommand("a@example.org", result.parameters, PEER)));
        assert.ok(command.kind === "command" && command.command.verb === "RCPT");
        assert.deepEqual(readRcptParameters(command.command.parameters, EVERYTHING_OFFERED), result);
      },
    ),
    { numRuns: runs(10_000) },
  );
});

Deno.test("no address breaks out of the command it is put in", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
      const path = formatPath(`${text}@example.org`);
      assert.ok(!/[\r\n\0]/.test(path));
      const result = parsePath(path, 0, "forward");
      if (result.kind === "path") assert.equal(result.end, path.length);
    }),
    { numRuns: runs(10_000) },
  );
});

Deno.test("xtext and the utf-8 address escapes give back what was put in", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const encoded = xtextEncode(text);
    assert.match(encoded, /^[!-~]*$/);
    assert.equal(xtextDecode(encoded), text);
    for (const ascii of [true, false]) assert.equal(utf8AddressDecode(utf8AddressEncode(text, ascii)), text);
  }));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    xtextDecode(text);
    utf8AddressDecode(text);
  }));
});

Deno.test("whatever the text, a formatted reply is one reply of short lines", () => {
  const anyText = fc.array(fc.string({ unit: "binary", maxLength: 700 }), { maxLength: 4 });
  fc.assert(
    fc.property(
      fc.constantFrom(220, 250, 354, 421, 550),
      anyText,
      fc.boolean(),
      fc.boolean(),
      (code, text, enhanced, utf8) => {
        const bytes = formatReply({ code, enhanced: `${String(code)[0]}.1.1`, text }, { enhanced, utf8 });
        const lines = latin1(bytes).split("\r\n");
        assert.equal(lines.pop(), "");
        lines.forEach((line, i) => {
          assert.ok(line.length <= 510);
          assert.ok(Array.from(line).every((char) => char >= " " && char !== "\x7f"));
          assert.equal(line.slice(0, 4).padEnd(4), `${code}${i < lines.length - 1 ? "-" : " "}`);
          if (!utf8) assert.ok(/^[ -~]*$/.test(line));
        });
        const parser = new ReplyParser();
        parser.push(bytes);
        assert.equal(parser.next()?.code, code);
        assert.equal(parser.unread, 0);
      },
    ),
    { numRuns: runs(2_000) },
  );
});

Deno.test("the reply parser throws nothing but protocol errors, wherever the bytes are cut", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.array(fc.constantFrom("250", "-", " ", "\r\n", "\n", "ok", "5.1.1", "550", "\0"), { maxLength: 20 }).map((
      parts,
    ) => encoder.encode(parts.join(""))),
  );
  const run = (chunks: readonly Uint8Array[]): unknown[] => {
    const parser = new ReplyParser();
    const seen: unknown[] = [];
    try {
      for (const chunk of chunks) {
        parser.push(chunk);
        for (let next = parser.next(); next !== undefined; next = parser.next()) seen.push(next);
      }
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
      seen.push("error");
    }
    return seen;
  };
  fc.assert(fc.property(bytes, cuts, (input, at) => assert.deepEqual(run(cut(input, at)), run([input]))), {
    numRuns: runs(10_000),
  });
});

Deno.test("no reply to EHLO makes its reader throw", () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: "binary" })), (text) => void parseEhlo({ code: 250, text })));
});
