import assert from "node:assert/strict";
import { type Mailboxes, openMailboxes } from "../../../src/http/mod.ts";
import { encodeBase64Url } from "../../../src/http/base64url.ts";

/** Lays out files below a temporary root; folders are made as needed. */
async function withRoot(
  files: Record<string, string>,
  test: (mailboxes: Mailboxes, root: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const root = `${folder}/mail`;
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      if (!path.endsWith("/")) await Deno.writeTextFile(`${root}/${path}`, text);
    }
    await test(openMailboxes(root), root);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const TWO_BOXES = {
  "example.net/ana/new/1700000300.M1P1.host": "From: a@b.example\r\nTo: ana@example.net\r\nSubject: third\r\n\r\n3",
  "example.net/ana/cur/1700000100.M1P1.host:2,S": "Subject: first\r\n\r\n1",
  "example.net/ana/tmp/1700000900.M1P1.host": "Subject: half-written\r\n\r\n",
  "example.net/bo/new/1700000200.M1P1.host": "Subject: second\r\n\r\n2",
  "example.net/bo/cur/": "",
  "example.net/bo/.Junk/new/": "",
  "example.net/bo/.Junk/cur/1700000000.M1P1.host:2,": "Subject: oldest\r\n\r\n0",
  "example.net/notes/new/": "",
};

Deno.test("Maildirs are found below the root, subfolders too, and half-written mail is not", async () => {
  await withRoot(TWO_BOXES, async (mailboxes) => {
    assert.deepEqual((await mailboxes.list()).map(({ name, messages }) => [name, messages]), [
      ["example.net/ana", 2],
      ["example.net/bo", 1],
      ["example.net/bo/.Junk", 1],
    ]);
  });
});

Deno.test("the latest messages of all mailboxes come newest first", async () => {
  await withRoot(TWO_BOXES, async (mailboxes) => {
    const latest = await mailboxes.latest(3);
    assert.deepEqual(latest.map((mail) => [mail.subject, mail.mailboxName]), [
      ["third", "example.net/ana"],
      ["second", "example.net/bo"],
      ["first", "example.net/ana"],
    ]);
    assert.equal(latest[0]?.delivered, "2023-11-14T22:18:20.000Z");
    assert.equal(latest[0]?.from, "a@b.example");
    assert.equal(latest[0]?.size, 59);
  });
});

Deno.test("a message is read by its ids, also after its flags changed", async () => {
  await withRoot(TWO_BOXES, async (mailboxes, root) => {
    const [first] = (await mailboxes.latest(10)).filter((mail) => mail.subject === "first");
    assert.ok(first);
    await Deno.rename(
      `${root}/example.net/ana/cur/1700000100.M1P1.host:2,S`,
      `${root}/example.net/ana/cur/1700000100.M1P1.host:2,RS`,
    );
    const bytes = await mailboxes.read(first.mailbox, first.id);
    assert.equal(new TextDecoder().decode(bytes), "Subject: first\r\n\r\n1");
  });
});

Deno.test("the root itself may be a Maildir", async () => {
  await withRoot({ "new/1.a": "Subject: x\r\n\r\n", "cur/": "" }, async (mailboxes) => {
    const [mail] = await mailboxes.latest(1);
    assert.equal(mail?.mailboxName, "");
    assert.ok(await mailboxes.read(mail?.mailbox ?? "", "1.a"));
  });
});

Deno.test("a root that does not exist has no mail", async () => {
  const mailboxes = openMailboxes("/nonexistent/godwit");
  assert.deepEqual(await mailboxes.list(), []);
  assert.deepEqual(await mailboxes.latest(10), []);
  assert.equal(await mailboxes.read(encodeBase64Url("."), "1.a"), undefined);
});

Deno.test("nothing outside the root can be named", async () => {
  await withRoot(TWO_BOXES, async (mailboxes, root) => {
    await Deno.mkdir(`${root}/../secret/new`, { recursive: true });
    await Deno.mkdir(`${root}/../secret/cur`);
    await Deno.writeTextFile(`${root}/../secret/new/1.a`, "secret");
    await Deno.writeTextFile(`${root}/example.net/plain.txt`, "not mail");
    await Deno.symlink(`${root}/../secret`, `${root}/link`);
    await Deno.symlink(`${root}/../secret/new/1.a`, `${root}/example.net/ana/new/2.linked`);

    const boxes = [
      "../secret",
      "example.net/../../secret",
      "link",
      "/etc",
      "example.net",
      "example.net//ana",
      "./example.net/ana",
      "",
    ];
    for (const name of boxes) assert.equal(await mailboxes.read(encodeBase64Url(name), "1.a"), undefined, name);
    assert.equal(await mailboxes.read("%2e%2e", "1.a"), undefined);
    const ana = encodeBase64Url("example.net/ana");
    for (const id of ["../../plain.txt", "2.linked", "", ".", "..", "1700000900.M1P1.host", "a\0b"]) {
      assert.equal(await mailboxes.read(ana, id), undefined, id);
    }
    assert.ok(!(await mailboxes.list()).some(({ name }) => name.includes("link")));
  });
});
