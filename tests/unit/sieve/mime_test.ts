/** Scripts that look into the parts of a message. */

import assert from "node:assert/strict";
import { actionsOf, errorsOf, holds, run } from "./script.ts";

const MESSAGE = `Subject: outer
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; format=flowed

plain text
--b
Content-Type: application/x-sh; name="run.sh"
Content-Disposition: attachment; filename*=utf-8''r%C3%BCn.sh

rm
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: text/html

<p>bold &amp; <b>brave</b></p>
--b--
`;

const REQUIRE = 'require ["foreverypart", "mime", "extracttext", "variables", "fileinto", "relational"];';

Deno.test("a loop sees every part, in the order of the message", async () => {
  const script = `${REQUIRE}
    set "all" "";
    foreverypart {
      if header :mime :matches :contenttype "content-type" "*" { set "all" "\${all} \${1}"; }
    }
    fileinto "\${all}";`;
  assert.deepEqual(actionsOf(await run(script, { message: MESSAGE })), [
    "store  multipart/mixed text/plain application/x-sh message/rfc822 text/html",
  ]);
});

Deno.test("an inner loop sees the parts inside, and break names the loop that it ends", async () => {
  const script = `${REQUIRE}
    set "n" "";
    foreverypart :name "outer" {
      set "n" "\${n}o";
      if header :mime :type "content-type" "message" {
        foreverypart { set "n" "\${n}i"; break :name "outer"; }
      }
    }
    fileinto "\${n}";`;
  assert.deepEqual(actionsOf(await run(script, { message: MESSAGE })), ["store ooooi"]);
  assert.equal(errorsOf('require "foreverypart"; break;').length, 1);
  assert.equal(errorsOf('require "foreverypart"; foreverypart :name "a" { break :name "b"; }').length, 1);
});

Deno.test("fields and parameters of parts are compared, decoded", async () => {
  const options = { before: REQUIRE, message: MESSAGE };
  assert.equal(await holds('header :mime :anychild "subject" "inner"', options), true);
  assert.equal(await holds('header :mime "subject" "inner"', options), false);
  assert.equal(await holds('header :mime :anychild :param "filename" "content-disposition" "rün.sh"', options), true);
  assert.equal(await holds('address :mime :anychild "content-from" "b@x.org"', { before: REQUIRE }), false);
  const from = { before: REQUIRE, message: "Content-From: Ann <a@example.org>\n\n" };
  assert.equal(await holds('address :mime "content-from" "a@example.org"', from), true);
  assert.equal(await holds('header :mime :anychild :subtype "content-type" "x-sh"', options), true);
  assert.equal(await holds('exists :mime :anychild "content-disposition"', options), true);
  assert.match(errorsOf(`${REQUIRE} if header :type "a" "b" {}`)[0] ?? "", /':type' of the header test needs ':mime'/);
});

Deno.test("extracttext reads the text of a part, without markup and no longer than asked", async () => {
  const script = `${REQUIRE}
    set "t" "";
    foreverypart {
      extracttext :upper :first 10 "x";
      set "t" "\${t}|\${x}";
    }
    fileinto "\${t}";`;
  const [stored] = actionsOf(await run(script.replaceAll(/\n */g, " "), { message: MESSAGE }));
  assert.equal(stored, "store ||PLAIN TEXT||| BOLD & BR".replace("BR", " B"));
});

Deno.test("a MIME bomb ends at the limits", async () => {
  const bomb = `Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(10_000)}--b--\n`;
  const counted = await run('require ["foreverypart"]; foreverypart { if true {} }', {
    message: bomb,
    limits: { instructions: 500 },
  });
  assert.equal(counted.error?.limit, true);
  const parts = await run('require ["foreverypart"]; foreverypart { if true {} }', {
    message: bomb,
    limits: { mimeParts: 20 },
  });
  assert.deepEqual([parts.error?.limit, parts.error?.message], [
    true,
    "the message has more than 20 parts, or more than 50 levels of them",
  ]);
});

Deno.test(":fcc files what is sent, with flags if those are required", async () => {
  const script = 'require ["enotify", "fcc", "imap4flags", "mailbox"]; ' +
    'notify :fcc "Sent" :create :flags ["\\\\Seen A"] "mailto:a@example.org";';
  const [action] = (await run(script)).actions;
  assert.ok(action?.kind === "notify");
  assert.deepEqual(action.fcc, { mailbox: "Sent", flags: ["\\Seen", "A"], create: true });
  assert.equal(errorsOf('require ["enotify", "fcc"]; notify :fcc "Sent" :create "mailto:a@example.org";').length, 1);
});
