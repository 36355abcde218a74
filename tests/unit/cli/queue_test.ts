/** `godwit queue` on the database of a stopped server. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { contentOf, formatMessageId, type NewMessage, type Queue } from "../../../src/queue/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { deferred, newMessage, openTestQueue, until } from "../../support/store.ts";
import { type Godwit, type Printed, withStoppedServer } from "./stopped_server.ts";

/** Fills a queue, stops it, and lets `body` run commands on it. */
const withStoppedQueue = (
  fill: (queue: Queue) => Promise<void>,
  body: (godwit: Godwit, folder: string) => Promise<void>,
): Promise<void> =>
  withStoppedServer(async (store) => {
    const queue = await openTestQueue(store, new FakeClock(Date.now()));
    await fill(queue);
    await queue.close();
  }, body);

const from = (sender: string): Partial<NewMessage> => ({ envelope: { sender, parameters: {} } });

/** Four messages: two from ann, one of them to two domains, one bounce, one that failed an attempt. */
async function four(queue: Queue): Promise<void> {
  await queue.enqueue(newMessage(queue, ["bob@one.example"], from("ann@here.example")));
  await queue.enqueue(newMessage(queue, ["Bob@One.example", "eve@two.example"], from("Ann@here.example")));
  await queue.enqueue(newMessage(queue, ["ann@here.example"], { ...from(""), source: "dsn" }));
  queue.start((job) => Promise.resolve(deferred(job, "451 greylisted, come back in [10] minutes")));
  await until(async () => (await queue.list()).every(({ recipients }) => recipients[0]?.attempts === 1));
  await queue.drain(1000);
  await queue.enqueue(newMessage(queue, ["late@three.example"], { ...from("carl@there.example"), held: true }));
}

const ids = ({ lines }: Printed) => lines.slice(1).map((line) => line.split(" ")[0] ?? "");

Deno.test("list finds by sender, recipient, domain, state, error, text and source, with patterns", async () => {
  await withStoppedQueue(four, async (godwit) => {
    const all = ids(await godwit("queue", "list"));
    assert.equal(all.length, 4);
    const [first, second, bounce, held] = all;
    const cases: [string[], (string | undefined)[]][] = [
      [["--sender", "ann@here.example"], [first, second]],
      [["--sender", "here.*"], [first, second]],
      [["--sender", "<>"], [bounce]],
      [["--sender", ""], [bounce]],
      [["--sender", "c?rl@*"], [held]],
      [["--recipient", "bob@one.example"], [first, second]],
      [["--recipient", "eve@*"], [second]],
      [["--recipient", "two.example"], [second]],
      [["--domain", "T*.example"], [second, held]],
      [["--state", "held"], [held]],
      [["--state", "queued", "--domain", "three.example"], []],
      [["--error", "unexpected-reply"], [first, second, bounce]],
      [["--error", "tls"], []],
      [["--text", "in [10] Minutes"], [first, second, bounce]],
      [["--source", "dsn"], [bounce]],
      [["--node", "node-a"], all],
      [["--node", "node-b"], []],
      [["--queue", "remote"], all],
      [["--queue", "local"], []],
      [["--older-than", "1h"], []],
      [["--younger-than", "1h"], all],
      [["--limit", "3"], [first, second, bounce]],
      [["--after", bounce ?? ""], [held]],
    ];
    for (const [options, expected] of cases) {
      const found = await godwit("queue", "list", ...options, "--json");
      const messages: { id: string }[] = JSON.parse(found.lines.join("\n"));
      assert.deepEqual(messages.map(({ id }) => id), expected, options.join(" "));
    }
    assert.deepEqual((await godwit("queue", "list", "--domain", "nowhere.example")).lines, ["no messages"]);
  });
});

Deno.test("a wrong option says what would be right, with status 2", async () => {
  await withStoppedQueue(four, async (godwit) => {
    for (
      const [options, expected] of [
        [["list", "--state", "lost"], "--state lost: expected queued, delivering, held"],
        [["list", "--error", "x"], /^--error x: expected none, dns, connection, /],
        [["list", "--source", "x"], /^--source x: expected authenticated, /],
        [["list", "--older-than", "x"], /^--older-than x: expected a duration such as 30s/],
        [["list", "--limit", "0"], "--limit 0: expected a whole number over 0, or all"],
        [["reschedule", "--all"], "reschedule needs --at TIME or --in DURATION"],
        [["reschedule", "--all", "--at", "tomorrow"], /^--at tomorrow: expected a time such as 2026-01-31T18:00Z/],
        [["cancel"], /^name messages by id, choose them by --sender, .*, or say --all$/],
        [["export", "--all"], /^several messages need --dir FOLDER, or --batch/],
      ] as const
    ) {
      const { status, errors } = await godwit("queue", ...options);
      assert.equal(status, 2, options.join(" "));
      if (typeof expected === "string") assert.deepEqual(errors, [expected]);
      else assert.match(errors[0] ?? "", expected);
    }
    const { status, errors } = await godwit("queue", "retry", "00000000000");
    assert.deepEqual([status, errors], [1, [
      "no message 00000000000 in the queue; godwit queue list shows what there is",
    ]]);
  });
});

Deno.test("a dry run counts and shows samples, and changes nothing", async () => {
  await withStoppedQueue(four, async (godwit) => {
    const before = (await godwit("queue", "list", "--json")).lines;
    const { lines } = await godwit("queue", "cancel", "--domain", "*.example", "--dry-run");
    assert.equal(lines[0], "5 recipients of 4 messages would be removed");
    assert.match(lines[1] ?? "", /^ID +STATE +QUEUE +SENDER +RECIPIENT$/);
    assert.equal(lines.length, 7);
    const retry = await godwit("queue", "retry", "--all", "--dry-run", "--json");
    const { action, dryRun, recipients, messages, samples } = JSON.parse(retry.lines[0] ?? "");
    assert.deepEqual(
      [action, dryRun, recipients, messages, samples.length],
      ["retry", true, 4, 3, 4],
      "not what is held",
    );
    for (const name of ["hold", "release", "reschedule"]) {
      await godwit("queue", name, "--all", "--dry-run", ...(name === "reschedule" ? ["--in", "1h"] : []));
    }
    assert.deepEqual((await godwit("queue", "list", "--json")).lines, before);
  });
});

Deno.test("each action does what it says, and history tells who asked for it", async () => {
  await withStoppedQueue(four, async (godwit) => {
    const [first = "", second = "", , held = ""] = ids(await godwit("queue", "list"));
    assert.deepEqual((await godwit("queue", "retry", first)).lines, ["1 recipient will be tried now"]);
    const at = "2031-05-06T07:08:00.000Z";
    assert.deepEqual((await godwit("queue", "reschedule", second, "--at", at)).lines, ["2 recipients rescheduled"]);
    assert.deepEqual((await godwit("queue", "release", held)).lines, ["1 recipient released"]);
    assert.deepEqual((await godwit("queue", "hold", first, "--json")).lines, ['{"action":"hold","recipients":1}']);
    assert.deepEqual((await godwit("queue", "cancel", "--recipient", "eve@two.example")).lines, [
      "1 recipient removed",
    ]);
    const history = async (id: string) => {
      const shown = JSON.parse((await godwit("queue", "show", id, "--json")).lines.join("\n"));
      return shown.events.map(({ name, text }: { name: string; text: string }) => [name, text]);
    };
    const who = `by ${
      Deno.env.get("SUDO_USER") ?? Deno.env.get("USER") ?? Deno.env.get("LOGNAME") ?? `user ${Deno.uid()}`
    }`;
    const asked = (events: string[][]) => events.filter(([name]) => name !== "queued" && name !== "deferred");
    assert.deepEqual(asked(await history(first)), [
      ["retry-requested", `${who} on the command line`],
      ["held", `${who} on the command line`],
    ]);
    assert.deepEqual(asked(await history(second)), [
      ["rescheduled", `to ${at} ${who} on the command line`],
      ["rescheduled", `to ${at} ${who} on the command line`],
      ["cancelled", `${who} on the command line`],
    ]);
    const [moved] = JSON.parse(
      (await godwit("queue", "list", "--sender", "Ann@*", "--state", "queued", "--json")).lines[0] ?? "",
    );
    assert.equal(moved.due, at);
    const { lines } = await godwit("queue", "stats", "--json");
    const { messages, recipients, queues } = JSON.parse(lines[0] ?? "");
    assert.deepEqual([messages, recipients], [4, 4]);
    assert.deepEqual(
      queues.map(({ queue, state, recipients }: Record<string, unknown>) => [queue, state, recipients]),
      [["remote", "queued", 3], ["remote", "held", 1]],
    );
  });
});

Deno.test("export writes what was accepted, with its envelope, to files and as batch SMTP", async () => {
  const text = "Subject: dots\r\n\r\n.one\r\n..two\r\nend";
  const big = new Uint8Array(3_000_000).fill(120);
  let bigId = "";
  await withStoppedQueue(async (queue) => {
    await queue.enqueue(newMessage(queue, ["bob@one.example", "eve@two.example"], {
      envelope: { sender: "ann@here.example", parameters: { body: "8bitmime", ret: "hdrs", envid: "QQ+1" } },
      recipients: [
        { address: "bob@one.example", parameters: {} },
        { address: "eve@two.example", parameters: {} },
      ],
      content: contentOf(new TextEncoder().encode(text)),
    }));
    const writer = queue.contentWriter();
    for (let at = 0; at < big.length; at += 50_000) await writer.write(big.subarray(at, at + 50_000));
    const message = newMessage(queue, undefined, { content: await writer.finish() });
    bigId = formatMessageId(message.id);
    await queue.enqueue(message);
  }, async (godwit, folder) => {
    const [id = ""] = ids(await godwit("queue", "list"));
    assert.equal((await godwit("queue", "export", id)).bytes, text);
    const target = join(folder, "out");
    assert.deepEqual((await godwit("queue", "export", "--all", "--dir", target)).lines, [
      `2 messages written to ${target}`,
    ]);
    assert.equal(await Deno.readTextFile(join(target, `${id}.eml`)), text);
    assert.deepEqual(await Deno.readFile(join(target, `${bigId}.eml`)), big);
    assert.equal((await Deno.stat(join(target, `${id}.eml`))).mode! & 0o777, 0o600);
    const envelope = JSON.parse(await Deno.readTextFile(join(target, `${id}.json`)));
    assert.equal(envelope.sender, "ann@here.example");
    assert.equal(envelope.parameters.envid, "QQ+1");
    assert.deepEqual(envelope.recipients.map(({ address }: { address: string }) => address), [
      "bob@one.example",
      "eve@two.example",
    ]);
    const { bytes } = await godwit("queue", "export", id, "--batch");
    assert.equal(
      bytes,
      "HELO mx.example.org\r\nMAIL FROM:<ann@here.example>\r\nRCPT TO:<bob@one.example>\r\n" +
        "RCPT TO:<eve@two.example>\r\nDATA\r\nSubject: dots\r\n\r\n..one\r\n...two\r\nend\r\n.\r\nQUIT\r\n",
    );
  });
});
