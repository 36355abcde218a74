import assert from "node:assert/strict";
import { boundDialogue, type DialogueLine, formatDialogueLine, replyLines } from "../../../src/smtp/mod.ts";

const line = (at: number, text: string, from: DialogueLine["from"] = "client"): DialogueLine => ({ at, from, text });

Deno.test("a reply of several lines shows its separators and its enhanced code in each line", () => {
  assert.deepEqual(replyLines({ code: 250, text: ["mx.example.net", "SIZE 1000", "PIPELINING"] }), [
    "250-mx.example.net",
    "250-SIZE 1000",
    "250 PIPELINING",
  ]);
  assert.deepEqual(replyLines({ code: 550, enhanced: "5.1.1", text: ["No such", "user"] }), [
    "550-5.1.1 No such",
    "550 5.1.1 user",
  ]);
  assert.deepEqual(replyLines({ code: 354, text: [] }), ["354"]);
  assert.deepEqual(replyLines({ code: 250, text: [""] }), ["250"]);
});

Deno.test("people see seconds since the beginning and who spoke", () => {
  assert.equal(formatDialogueLine(line(1234, "QUIT")), "  1.234 C: QUIT");
  assert.equal(formatDialogueLine(line(0, "220 ready", "server")), "  0.000 S: 220 ready");
  assert.equal(formatDialogueLine(line(61_000, "no answer within 60 s", "note")), " 61.000 -- no answer within 60 s");
});

Deno.test("a dialogue that fits stays as it is", () => {
  const lines = [line(0, "a"), line(1, "b")];
  assert.deepEqual(boundDialogue(lines, 100), lines);
});

Deno.test("what is too long loses its middle, and says how much", () => {
  const lines = Array.from({ length: 100 }, (_, index) => line(index, `line ${index} ${"x".repeat(40)}`));
  const cut = boundDialogue(lines, 1200);
  const gap = cut.findIndex(({ from }) => from === "note");
  assert.ok(gap > 0 && gap < cut.length - 1);
  assert.deepEqual(cut.slice(0, gap), lines.slice(0, gap));
  assert.deepEqual(cut.slice(gap + 1), lines.slice(100 - (cut.length - gap - 1)));
  assert.equal(cut[gap]?.text, `${100 - (cut.length - 1)} lines left out`);
  assert.ok(cut.length - gap > gap, "more of the end is kept than of the beginning");
  assert.ok(cut.reduce((sum, { text }) => sum + text.length, 0) < 1300);
});

Deno.test("the last line is kept however long it is, cut to 500 characters", () => {
  const cut = boundDialogue([line(0, "a".repeat(300)), line(1, "b".repeat(100_000))], 100);
  assert.deepEqual(
    cut.map(({ text }) => text.length),
    [17, 503].map((length, index) => index === 0 ? "1 line left out".length : length),
  );
});
