/** Scripts that change parts of a message, and what they leave as it was. */

import assert from "node:assert/strict";
import { messageBytes, type Outcome } from "../../../src/sieve/mod.ts";
import { errorsOf, run, type RunOptions } from "./script.ts";

const REQUIRE = 'require ["foreverypart", "mime", "replace", "enclose", "convert", "variables", "extracttext", ' +
  '"editheader", "fileinto", "copy"];';

const MESSAGE = `Received: by a; now
Subject:  outer  
\tfolded
From: ann@example.org
Content-Type: multipart/mixed; boundary=b

before
--b
Content-Type: text/plain
X-Odd:   kept as it is

first
--b
Content-Type: application/x-sh; name=run.sh
Content-Disposition: attachment

rm
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

<p>Gr=FC=DFe</p>
--b--
after
`;

/** The message as the script leaves it, with LF; nothing may have gone wrong. */
async function left(script: string, options: RunOptions = {}): Promise<string> {
  const outcome = await run(`${REQUIRE}\n${script}`, { message: MESSAGE, ...options });
  assert.equal(outcome.error, undefined);
  return await textOf(outcome.message);
}

async function textOf(message: Outcome["message"]): Promise<string> {
  const text = new TextDecoder().decode(await messageBytes(message));
  assert.ok(!/[^\r]\n/.test(text));
  return text.replaceAll("\r\n", "\n");
}

const ATTACHMENT = `Content-Type: application/x-sh; name=run.sh
Content-Disposition: attachment

rm
`;

Deno.test("a part is replaced with its header, every other byte stays", async () => {
  const script = 'foreverypart { if header :mime "content-disposition" "attachment" { replace "Taken out."; } }';
  assert.equal(
    await left(script),
    MESSAGE.replace(
      ATTACHMENT,
      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nTaken out.\n",
    ),
  );
});

Deno.test("text beyond ASCII is encoded, a MIME entity is taken as it is", async () => {
  const umlaut = 'foreverypart { if header :mime "content-disposition" "attachment" { replace "Grüße"; } }';
  assert.ok((await left(umlaut)).includes("Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe\n--b\n"));
  const entity = `foreverypart { if header :mime "content-disposition" "attachment" { replace :mime text:
Content-Type: text/x-note

Grüße
.
; } }`;
  assert.equal(await left(entity), MESSAGE.replace(ATTACHMENT, "Content-Type: text/x-note\n\nGrüße\n\n"));
});

Deno.test("a replaced multipart takes its parts with it, also for the loop", async () => {
  const script = 'set "n" ""; foreverypart { set "n" "${n}."; replace "All gone."; } addheader "X-Turns" "${n}";';
  assert.equal(
    await left(script),
    "X-Turns: .\nReceived: by a; now\nSubject:  outer  \n\tfolded\nFrom: ann@example.org\nMIME-Version: 1.0\n" +
      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nAll gone.\n",
  );
});

Deno.test("a loop goes on behind a replaced part, and sees the new one at once", async () => {
  const script = `set "seen" "";
    foreverypart {
      if header :mime :type "content-type" "application" { replace "new"; }
      extracttext "t";
      set "seen" "\${seen}[\${t}]";
    }
    fileinto "\${seen}";`;
  const outcome = await run(`${REQUIRE}\n${script}`, { message: MESSAGE });
  const [action] = outcome.actions;
  assert.ok(action?.kind === "store");
  assert.equal(action.mailbox, "[][first][new][][ Grüße ]");
});

Deno.test("header edits and replacements may take turns", async () => {
  const script = `foreverypart {
    if header :mime :type "content-type" "text" { replace "x"; addheader :last "X-Part" "y"; }
  }`;
  const message = await left(script);
  assert.equal(message.match(/^X-Part: y$/gm)?.length, 2);
  assert.equal(message.match(/^x$/gm)?.length, 2);
});

Deno.test("a message inside a part keeps the header it has", async () => {
  const script = 'foreverypart { if header :mime "subject" "inner" { replace "Bye"; } }';
  const message = await left(script);
  assert.ok(message.includes(
    "Content-Type: message/rfc822\n\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n" +
      "Content-Transfer-Encoding: 7bit\n\nBye\n--b--\nafter\n",
  ));
});

Deno.test("a message that was encoded as a whole is encoded again", async () => {
  const inner = btoa("Subject: inner\r\n\r\nold\r\n");
  const message = `Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

${inner}
--b--
`;
  const changed = await left('foreverypart { if header :mime "subject" "inner" { replace "new"; } }', { message });
  const encoded = /base64\n\n([^-]*)\n--b--/.exec(changed)?.[1] ?? "";
  assert.match(atob(encoded.replaceAll("\n", "")), /^Subject: inner\r\n[^]*\r\n\r\nnew$/);
});

Deno.test(":subject and :from keep what was there before", async () => {
  const message = await left('replace :subject "Grüße" :from "Bob <bob@example.net>" "Text";');
  assert.ok(message.includes("\nSubject: =?utf-8?"));
  assert.ok(message.includes("\nOriginal-Subject:  outer  \n\tfolded\n"));
  assert.ok(message.includes('\nFrom: "Bob" <bob@example.net>\nOriginal-From: ann@example.org\n'));
  assert.ok(message.startsWith("Received: by a; now\n"));
  assert.equal(errorsOf(`${REQUIRE} replace :from "nobody" "x";`).length, 1);
  for (const tag of [':subject "x"', ':from "a@example.org"']) {
    assert.match(errorsOf(`${REQUIRE} replace :mime ${tag} "x";`)[0] ?? "", /cannot go with ':mime'/);
  }
  const late = await run(`${REQUIRE} set "a" "nobody"; replace :from "\${a}" "x";`);
  assert.match(late.error?.message ?? "", /not a list of addresses/);
});

Deno.test("a replacement cannot end the part that it stands in", async () => {
  const script = (mime: string, text: string) =>
    `foreverypart { if header :mime "content-disposition" "attachment" { replace ${mime} "${text}"; } }`;
  const message = await left(script("", "x\r\n--b--\r\ny"));
  assert.ok(message.includes(`Content-Transfer-Encoding: base64\n\n${btoa("x\r\n--b--\r\ny")}\n`));
  const outcome = await run(`${REQUIRE} ${script(":mime", "A: b\r\n\r\n--b--")}`, { message: MESSAGE });
  assert.match(outcome.error?.message ?? "", /boundary/);
});

Deno.test("enclose puts the message into a new one", async () => {
  const host = { addresses: ["bob@example.net"], messageId: () => "1@host.example" };
  const message = await left('enclose :subject "Attached" :headers ["Received", "X-None"] "See inside.";', { host });
  const boundary = /boundary="([^"]*)"/.exec(message)?.[1] ?? "";
  assert.equal(
    message,
    `Date: Thu, 01 Jan 1970 00:00:00 +0000
Received: by a; now
From: <bob@example.net>
Subject: Attached
Message-ID: <1@host.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="${boundary}"

--${boundary}
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

See inside.
--${boundary}
Content-Type: message/rfc822

${MESSAGE}
--${boundary}--
`,
  );
});

Deno.test("the new message comes from the user, with a name if there is one", async () => {
  const host = { addresses: ["Automated <bot@example.net>"] };
  assert.match(await left('enclose "x";', { host }), /^Date: .*\nFrom: "Automated" <bot@example.net>\nSubject: /);
});

Deno.test("fields of the new message may be written out", async () => {
  const script = 'enclose :headers ["From: Carol <c@example.org>", "date: today", "Content-Type: x/y", "To"] "x";';
  const message = await left(script, { message: "From: ann@example.org\nTo: bob@example.net\n\nold\n" });
  assert.ok(message.startsWith("From: Carol <c@example.org>\ndate: today\nTo: bob@example.net\nMIME-Version: 1.0\n"));
});

Deno.test("tests behind enclose see the new message, what is redirected is the old one", async () => {
  const script = `${REQUIRE} enclose "x"; redirect :copy "a@example.org";
    if header :mime :contenttype "content-type" "multipart/mixed" { fileinto "new"; }`;
  const outcome = await run(script, { message: "Subject: s\n\nold\n" });
  const [redirected, stored] = outcome.actions;
  assert.ok(redirected !== undefined && stored?.kind === "store");
  assert.equal(await textOf(redirected.message), "Subject: s\n\nold\n");
  assert.match(await textOf(stored.message), /^Date: .*\nSubject: s\nMIME-Version: 1.0\n/);
});

Deno.test("a loop that encloses the message goes on with the parts of the old one", async () => {
  const script = `foreverypart {
    if header :mime :type "content-type" "application" { enclose "y"; }
    if header :mime "subject" "inner" { replace "z"; }
  }`;
  const message = await left(script);
  assert.ok(message.includes("\ny\n--=_"));
  assert.ok(message.includes("Subject: inner\nMIME-Version: 1.0\n"));
  assert.ok(message.includes(ATTACHMENT));
});

Deno.test("convert makes plain text of HTML, and another charset of text", async () => {
  const message = await left('if convert "text/html" "text/plain" "charset=utf-8" { addheader "X-Done" "yes"; }');
  assert.ok(message.startsWith("X-Done: yes\n"));
  assert.ok(message.includes(
    "Subject: inner\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
      " Gr=C3=BC=C3=9Fe=20\n--b--",
  ));
  const html = await left('convert "text/plain" "text/html" "";', {
    message: "Content-Type: text/plain; charset=utf-8\nX-Kept: yes\n\nI <3 & you\nBye\n",
  });
  assert.equal(
    html,
    "X-Kept: yes\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n<!DOCTYPE html>\n" +
      "<html><body>\nI &lt;3 &amp; you<br>\nBye\n</body></html>\n",
  );
  const latin = await left('convert "text/plain" "text/plain" ["charset=iso-8859-1"];', {
    message: "Content-Type: text/plain; charset=utf-8\n\nGrüße €",
  });
  assert.equal(
    latin,
    `Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n${btoa("Grüße ?")}\n`,
  );
});

Deno.test("what cannot be converted stays, and says so", async () => {
  const script = 'if not convert "application/x-sh" "text/plain" "charset=utf-8" { addheader "X-Failed" "yes"; }';
  assert.equal(await left(script), `X-Failed: yes\n${MESSAGE}`);
  const none = 'if convert "image/tiff" "image/jpeg" ["pix-x=320"] { addheader "X-Done" "yes"; }';
  assert.equal(await left(none), `X-Done: yes\n${MESSAGE}`);
  const charset = 'if not convert "text/plain" "text/plain" ["charset=ebcdic"] { addheader "X-Failed" "yes"; }';
  assert.equal(await left(charset), `X-Failed: yes\n${MESSAGE}`);
  assert.equal(errorsOf(`${REQUIRE} convert "html" "text/plain" ["x"];`).length, 2);
});

Deno.test("convert changes all parts of a type, or none of them", async () => {
  const part = (type: string) => `--b\nContent-Type: ${type}\n\n<p>text</p>\n`;
  const parts = (...types: readonly string[]) =>
    `Content-Type: multipart/mixed; boundary=b\n\n${types.map(part).join("")}--b--\n`;
  const script = 'if not convert "text/html" "text/plain" "charset=utf-8" { addheader "X-Failed" "yes"; }';
  const good = await left(script, { message: parts("text/html", "TEXT/HTML; charset=iso-8859-1", "text/css") });
  assert.equal(good.match(/text\/plain/g)?.length, 2);
  assert.ok(good.includes(part("text/css")));
  const message = parts("text/html", "text/html; charset=x-unknown", "text/html");
  assert.equal(await left(script, { message }), `X-Failed: yes\n${message}`);
});

Deno.test("what replace has put aside cannot be taken away", async () => {
  const script = 'replace :subject "new" :from "bob@example.net" "x"; deleteheader "original-subject"; ' +
    'deleteheader :index 1 :last "original-from"; deleteheader "subject";';
  const message = await left(script);
  assert.match(message, /^Original-Subject: {2}outer/m);
  assert.match(message, /^Original-From: ann@example\.org$/m);
  assert.doesNotMatch(message, /^Subject:/m);
});

Deno.test("in a loop convert changes the part that the loop is at", async () => {
  const two = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>1\n" +
    "--b\nContent-Type: text/html\nX-Second: yes\n\n<p>2\n--b--\n";
  const script = 'foreverypart { if exists :mime "x-second" { convert "text/html" "text/plain" "charset=utf-8"; } }';
  const message = await left(script, { message: two });
  assert.ok(message.includes("--b\nContent-Type: text/html\n\n<p>1\n--b\nX-Second: yes\nContent-Type: text/plain"));
});
