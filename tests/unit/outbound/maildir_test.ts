import assert from "node:assert/strict";
import { join } from "node:path";
import type { RouteConfig } from "../../../src/config/config.ts";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import type { DeliveryOptions } from "../../../src/outbound/mod.ts";
import { ioFailure } from "../../../src/outbound/local.ts";
import { pathPart } from "../../../src/outbound/maildir.ts";
import { contentOf, inShort, jobFor, MESSAGE, queueConfig, setUp } from "./setting.ts";

/** Runs `test` with a delivery into Maildirs under a folder of its own. */
async function withMaildirs(
  path: string,
  test: (setting: ReturnType<typeof setUp> & { readonly root: string }) => Promise<void>,
  options: Partial<DeliveryOptions> = {},
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    const route: RouteConfig = { id: "local", type: "local", path: join(root, path) };
    await test({ ...setUp(queueConfig([route]), options), root });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const local = { route: "local" } as const;

async function files(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("a message lands in new, with Return-Path and Delivered-To on top and nothing left in tmp", async () => {
  await withMaildirs("{domain}/{local}/Maildir", async ({ deliver, root }) => {
    const [outcome] = await deliver(jobFor(["b@rcpt.example"], local));
    const folder = join(root, "rcpt.example/b/Maildir");
    assert.equal(outcome?.kind, "delivered");
    const [name = ""] = await files(join(folder, "new"));
    assert.equal(outcome?.kind === "delivered" && outcome.host, join(folder, "new", name));
    const top = "Return-Path: <a@sender.example>\r\nDelivered-To: b@rcpt.example\r\n";
    assert.equal(await Deno.readTextFile(join(folder, "new", name)), top + MESSAGE);
    assert.deepEqual(await files(join(folder, "tmp")), []);
    assert.deepEqual(await files(join(folder, "cur")), []);
    // 12:00:00 UTC on 5 January 2026 by the test's clock.
    assert.match(
      name,
      new RegExp(`^1767614400\\.M0P${Deno.pid}Q1\\.mx\\.sender\\.example,S=${top.length + MESSAGE.length}$`),
    );
  });
});

Deno.test("folders and files are for their owner only", async () => {
  await withMaildirs("{domain}/{local}", async ({ deliver, root }) => {
    await deliver(jobFor(["b@rcpt.example"], local));
    for (const path of ["rcpt.example", "rcpt.example/b", "rcpt.example/b/new", "rcpt.example/b/tmp"]) {
      assert.equal(((await Deno.stat(join(root, path))).mode ?? 0) & 0o777, 0o700, path);
    }
    const [name = ""] = await files(join(root, "rcpt.example/b/new"));
    assert.equal(((await Deno.stat(join(root, "rcpt.example/b/new", name))).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("the null sender has an empty Return-Path; Delivered-To can be switched off", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    await deliver(jobFor(["b@rcpt.example"], { ...local, message: { envelope: { sender: "", parameters: {} } } }));
    const [name = ""] = await files(join(root, "b/new"));
    assert.equal(await Deno.readTextFile(join(root, "b/new", name)), `Return-Path: <>\r\n${MESSAGE}`);
  }, { deliveredTo: false });
});

Deno.test("every recipient gets a copy of its own, at the same moment too", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const to = Array.from({ length: 20 }, (_, i) => `user${i % 2}@rcpt.example`);
    const outcomes = await deliver(jobFor(to, local));
    assert.ok(outcomes.every(({ kind }) => kind === "delivered"));
    assert.equal((await files(join(root, "user0/new"))).length, 10);
    assert.equal((await files(join(root, "user1/new"))).length, 10);
  });
});

Deno.test("long content is written chunk by chunk", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const chunks = ["Subject: x\r\n\r\n", ...Array.from({ length: 50 }, (_, i) => `${i}`.repeat(10_000))];
    await deliver(jobFor(["b@rcpt.example"], { ...local, message: { content: contentOf(...chunks) } }));
    const [name = ""] = await files(join(root, "b/new"));
    assert.ok((await Deno.readTextFile(join(root, "b/new", name))).endsWith(chunks.join("")));
  });
});

Deno.test("the subaddress tag, quotes and case of the local part do not make another mailbox", async () => {
  await withMaildirs("{domain}/{local}", async ({ deliver, root }) => {
    for (const address of ["b+tag@rcpt.example", "B@rcpt.example", '"b"@rcpt.example', "b+x+y@rcpt.example"]) {
      assert.deepEqual((await deliver(jobFor([address], local))).map(inShort), ["delivered"]);
    }
    assert.deepEqual(await files(join(root, "rcpt.example")), ["b"]);
    assert.equal((await files(join(root, "rcpt.example/b/new"))).length, 4);
  });
});

Deno.test("{account} is the name of the directory account, else the local part", async () => {
  await withMaildirs("{account}", async ({ deliver, root }) => {
    await deliver(jobFor(["sales@rcpt.example", "other@rcpt.example"], local));
    assert.deepEqual(await files(root), ["ana", "other"]);
  }, { accountOf: (address) => Promise.resolve(address === "sales@rcpt.example" ? "ana" : undefined) });
});

Deno.test("a directory that cannot be asked is a deferral", async () => {
  await withMaildirs("{account}", async ({ deliver, root }) => {
    assert.deepEqual((await deliver(jobFor(["b@rcpt.example"], local))).map(inShort), ["deferred io 0 4.3.0"]);
    assert.deepEqual(await files(root), []);
  }, { accountOf: () => Promise.reject(new LookupUnavailable("away")) });
});

Deno.test("no address leaves its folder or hides in it", async () => {
  await withMaildirs("mail/{local}/Maildir", async ({ deliver, root }) => {
    for (
      const address of [
        '"../../evil"@rcpt.example',
        '".."@rcpt.example',
        '".hidden"@rcpt.example',
        '"a/b"@rcpt.example',
      ]
    ) {
      assert.deepEqual((await deliver(jobFor([address], local))).map(inShort), ["delivered"]);
    }
    assert.deepEqual(await files(root), ["mail"]);
    assert.deepEqual(await files(join(root, "mail")), ["%2E.", "%2E.%2F..%2Fevil", "%2Ehidden", "a%2Fb"]);
  });
});

Deno.test("a part of a path is never special, and different texts stay different", () => {
  for (const text of ["", ".", "..", "/", "a/b", "a\0b", "a\r\nb", "\\", ".a", "%", "%2F", "ü"]) {
    const part = pathPart(text);
    assert.match(part, /^[^/\\.\p{Cc}][^/\\\p{Cc}]*$/u, JSON.stringify(text));
  }
  assert.notEqual(pathPart("a/b"), pathPart("a%2Fb"));
});

Deno.test("a Maildir that was removed is made again", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    await deliver(jobFor(["b@rcpt.example"], local));
    await Deno.remove(join(root, "b"), { recursive: true });
    assert.deepEqual((await deliver(jobFor(["b@rcpt.example"], local))).map(inShort), ["delivered"]);
  });
});

Deno.test("a Return-Path from earlier gives way to the one of the final delivery", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const content = contentOf(
      "Return-Path: <old@example.net>\r\nSubject: x\r\nReturn-Path: <older@example.net>\r\n\r\ntext\r\n",
    );
    await deliver(jobFor(["b@rcpt.example"], { ...local, message: { content } }));
    const [name] = await files(join(root, "b/new"));
    const text = await Deno.readTextFile(join(root, "b/new", name ?? ""));
    assert.deepEqual(text.match(/^Return-Path: .*$/gm)?.length, 1);
    assert.ok(text.endsWith("Subject: x\r\n\r\ntext\r\n"));
    assert.ok(name?.endsWith(`,S=${text.length}`));
  });
});

Deno.test("a path that cannot be written is a deferral", async () => {
  await withMaildirs("file/{local}", async ({ deliver, root }) => {
    await Deno.writeTextFile(join(root, "file"), "in the way");
    assert.deepEqual((await deliver(jobFor(["b@rcpt.example"], local))).map(inShort), ["deferred io 0 4.3.0"]);
  });
});

Deno.test("content that ends early leaves no file", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const content = { ...contentOf(MESSAGE), size: MESSAGE.length + 1 };
    const outcomes = await deliver(jobFor(["b@rcpt.example"], { ...local, message: { content } }));
    assert.deepEqual(outcomes.map(inShort), ["deferred io 0 4.3.0"]);
    assert.deepEqual([await files(join(root, "b/new")), await files(join(root, "b/tmp"))], [[], []]);
  });
});

Deno.test("a full disk and a full quota are told apart", () => {
  const failing = (code: string) => {
    const verdict = ioFailure(Object.assign(new Error(code), { code }));
    return verdict.kind === "delivered" ? "" : `${verdict.kind} ${verdict.detail.lastError} ${verdict.detail.enhanced}`;
  };
  assert.equal(failing("ENOSPC"), "deferred io 4.3.1");
  assert.equal(failing("EDQUOT"), "deferred io 4.2.2");
  assert.equal(failing("EACCES"), "deferred io 4.3.0");
});

Deno.test("copies go into folders with their flags, which are made when they are needed", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const copies = [
      { mailbox: "Lists/Deno" },
      { mailbox: "Archive", flags: ["\\Seen", "\\Flagged", "work"] },
      { flags: [] },
    ];
    const [outcome] = await deliver(jobFor(["b@rcpt.example"], { ...local, parameters: { copies } }));
    assert.equal(outcome?.kind, "delivered");
    assert.deepEqual(await files(join(root, "b")), [".Archive", ".Lists.Deno", "cur", "new", "tmp"]);
    const [list = ""] = await files(join(root, "b/.Lists.Deno/new"));
    const [archived = ""] = await files(join(root, "b/.Archive/cur"));
    assert.match(archived, /,S=\d+:2,FS$/);
    assert.equal((await files(join(root, "b/new"))).length, 1);
    assert.deepEqual(await files(join(root, "b/.Archive")), ["cur", "maildirfolder", "new", "tmp"]);
    assert.equal(
      await Deno.readTextFile(join(root, "b/.Lists.Deno/new", list)),
      await Deno.readTextFile(join(root, "b/.Archive/cur", archived)),
    );
  });
});

Deno.test("a mailbox that cannot be a folder is the inbox, and one mailbox gets one copy", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const copies = [{ mailbox: "../../x" }, { mailbox: "INBOX" }, { mailbox: "a/b" }, { mailbox: "a.b" }];
    await deliver(jobFor(["b@rcpt.example"], { ...local, parameters: { copies } }));
    assert.deepEqual(await files(root), ["b"]);
    assert.deepEqual(await files(join(root, "b")), [".a.b", "cur", "new", "tmp"]);
    assert.equal((await files(join(root, "b/new"))).length, 1);
    assert.equal((await files(join(root, "b/.a.b/new"))).length, 1);
  });
});

Deno.test("if one of several copies cannot be written there is none", async () => {
  await withMaildirs("{local}", async ({ deliver, root }) => {
    const job = (mailbox: string) =>
      jobFor(["b@rcpt.example"], { ...local, parameters: { copies: [{}, { mailbox }] } });
    await deliver(job("ok"));
    await Deno.writeTextFile(join(root, "b/.bad"), "in the way");
    assert.deepEqual((await deliver(job("bad"))).map(inShort), ["deferred io 0 4.3.0"]);
    assert.deepEqual([(await files(join(root, "b/new"))).length, await files(join(root, "b/tmp"))], [1, []]);
  });
});
