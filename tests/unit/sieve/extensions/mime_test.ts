/** Pieces of MIME fields and the text of parts (RFC 5703 §4 and §7). */

import assert from "node:assert/strict";
import { actionsOf, errorsOf, holds, run } from "../script.ts";

const REQUIRE = 'require ["foreverypart", "mime", "extracttext", "variables", "fileinto", "relational", ' +
  '"comparator-i;ascii-numeric"];';

const PARTS = `Content-Type: multipart/mixed; boundary=b

--b
Content-Type: IMAGE/PNG; name="=?utf-8?q?gr=C3=BCn=2Epng?="
Content-Disposition: Attachment; filename*0*=utf-8''gr%C3%BCn; filename*1=.png
Content-Language: de

x
--b
Content-Type: broken
Content-Disposition: inline

x
--b--
`;
const options = { before: REQUIRE, message: PARTS };
const count = (number: number, test: string) =>
  `header :mime :anychild :count "eq" :comparator "i;ascii-numeric" ${test} "${number}"`;

Deno.test("a type and its pieces, a disposition, and of other fields nothing", async () => {
  for (
    const [test, value] of [
      [':type "Content-Type"', "image"],
      [':subtype "Content-Type"', "png"],
      [':contenttype "Content-Type"', "image/png"],
      [':type "Content-Disposition"', "attachment"],
      [':contenttype "Content-Disposition"', "attachment"],
      [':subtype "Content-Disposition"', ""],
      [':type "Content-Language"', ""],
      [':subtype "Content-Language"', ""],
      [':contenttype "Content-Language"', ""],
    ] as const
  ) assert.equal(await holds(`header :mime :anychild ${test} "${value}"`, options), true, test);
  assert.equal(await holds('header :mime :anychild :type "Content-Language" "de"', options), false);
  assert.equal(await holds('header :mime :anychild :type "Content-MD5" ""', options), false);
});

Deno.test("fields that can be read are counted, and parameters that are there", async () => {
  assert.equal(await holds(count(2, ':contenttype "Content-Type"'), options), true);
  assert.equal(await holds(count(2, ':type "Content-Disposition"'), options), true);
  assert.equal(await holds(count(1, ':param ["filename", "size"] "Content-Disposition"'), options), true);
  assert.equal(await holds('header :mime :anychild :contenttype "Content-Type" "broken"', options), false);
});

Deno.test("parameters are put together and decoded, also where encoded words should not be", async () => {
  const param = (name: string, field: string) => `header :mime :anychild :param "${name}" "${field}" "grün.png"`;
  assert.equal(await holds(param("filename", "Content-Disposition"), options), true);
  assert.equal(await holds(param("NAME", "Content-Type"), options), true);
});

Deno.test("without :mime it is the header of the message, also within a loop", async () => {
  const script = `${REQUIRE} set "seen" "";
    foreverypart {
      if header :contains "content-type" "multipart" { set "seen" "\${seen}m"; }
      if header :mime :contains "content-type" "multipart" { set "seen" "\${seen}p"; }
      if exists "content-language" { set "seen" "\${seen}!"; }
    } fileinto "\${seen}";`;
  assert.deepEqual(actionsOf(await run(script, { message: PARTS })), ["store mpmm"]);
});

Deno.test("options of :mime are errors without it, and no two of them go together", () => {
  for (const tags of [":anychild", ":type", ":subtype", ":contenttype", ':param "a"']) {
    assert.match(errorsOf(`${REQUIRE} if header ${tags} "a" "b" {}`)[0] ?? "", /needs ':mime'/, tags);
  }
  assert.equal(errorsOf(`${REQUIRE} if header :mime :type :subtype "a" "b" {}`).length, 1);
  for (const test of ['address :mime :type "from" "a"', 'exists :mime :param "a" "b"', 'exists :anychild "a"']) {
    assert.equal(errorsOf(`${REQUIRE} if ${test} {}`).length, 1, test);
  }
});

/** What `extracttext` finds in a message of one part. */
async function extracted(head: string, body: string, tags = ""): Promise<string> {
  const script = `${REQUIRE} foreverypart { extracttext ${tags} "t"; } fileinto "[\${t}]";`;
  const [action = ""] = actionsOf(await run(script, { message: `${head}\n\n${body}` }));
  return action.replace(/^store \[([^]*)\]$/, "$1");
}

Deno.test("the text of a part is decoded; what cannot be is no text", async () => {
  const type = (charset: string) => `Content-Type: text/plain; charset=${charset}\nContent-Transfer-Encoding: base64`;
  assert.equal(await extracted(type("iso-8859-1"), btoa("gr\xfcn")), "grün");
  assert.equal(await extracted(type("utf-16le"), btoa("a\0b\0")), "ab");
  assert.equal(await extracted(type("x-unknown"), btoa("gruen")), "");
  assert.equal(await extracted(type("utf-8"), btoa("gr\xfcn")), "");
  assert.equal(await extracted("Subject: no type", "grün"), "grün");
  assert.equal(await extracted("Content-Type: text/plain\nContent-Transfer-Encoding: x-zip", "abc"), "");
  assert.equal(await extracted("Content-Type: image/png", "abc"), "");
});

Deno.test("the beginning is taken before it is changed, in characters", async () => {
  assert.equal(await extracted("A: b", "Über 😀 uns", ":first 6 :lower"), "Über 😀");
  assert.equal(await extracted("A: b", "a*b", ":first 2 :quotewildcard"), "a\\*");
  assert.equal(await extracted("A: b", "abc", ":first 5 :length"), "3");
  const modifiers = {
    lower: "a.b*",
    upper: "A.B*",
    lowerfirst: "a.b*",
    upperfirst: "A.b*",
    quotewildcard: "A.b\\*",
    quoteregex: "A\\.b\\*",
    length: "4",
    encodeurl: "A.b%2A",
  };
  const more = 'require ["enotify", "regex"]; ';
  for (const [modifier, wanted] of Object.entries(modifiers)) {
    const script = `${more}${REQUIRE} foreverypart { extracttext :${modifier} "t"; } set :${modifier} "s" "A.b*";
      fileinto "\${t}|\${s}";`;
    assert.deepEqual(
      actionsOf(await run(script, { message: "A: b\n\nA.b*" })),
      [`store ${wanted}|${wanted}`],
      modifier,
    );
  }
  assert.match(errorsOf(`${REQUIRE} extracttext "t";`)[0] ?? "", /must stand inside foreverypart/);
  assert.equal(errorsOf('require ["extracttext", "foreverypart"]; foreverypart { extracttext "t"; }').length, 1);
});

Deno.test("a loop inside another sees what is inside its part, and names hide those around", async () => {
  const nested = `Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/alternative; boundary=b

--b
X-N: 1

x
--b
X-N: 2

x
--b--
--a
X-N: 3

x
--a--
`;
  const script = `${REQUIRE} set "n" "";
    foreverypart :name "x" {
      set "n" "\${n}(";
      foreverypart :name "x" { set "n" "\${n}."; if header :mime "x-n" "2" { break :name "x"; } }
      set "n" "\${n})";
    } fileinto "\${n}";`;
  // Four parts are inside the whole, two inside the alternative; the inner loop ends at number 2.
  assert.deepEqual(actionsOf(await run(script, { message: nested })), ["store (...)(..)()()()"]);
});
