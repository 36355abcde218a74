import assert from "node:assert/strict";
import { run, withServer } from "./server.ts";

/** Arguments for so many messages on so many connections to bob. */
const load = (messages: number, connections: number, size: number) => [
  ...["-m", String(messages), "-s", String(connections), "-l", String(size)],
  ...["-f", "carol@example.org", "-t", "bob@example.net"],
];

Deno.test("smtp-source sends a connection per message, ten at a time, and every message arrives once", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await run("smtp-source", [...load(300, 10, 4096), `127.0.0.1:${ports.mx}`]);
    assert.equal((await mail("bob", 300)).length, 300);
  });
});

Deno.test("smtp-source sends many messages on each connection", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await run("smtp-source", ["-d", ...load(300, 5, 1024), `127.0.0.1:${ports.mx}`]);
    assert.equal((await mail("bob", 300)).length, 300);
  });
});

Deno.test("smtp-source sends messages larger than what a session keeps in memory", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await run("smtp-source", [...load(6, 3, 2_000_000), `127.0.0.1:${ports.mx}`]);
    for (const text of await mail("bob", 6)) assert.ok(text.length > 2_000_000);
  });
});

Deno.test("smtp-source speaks LMTP", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await run("smtp-source", ["-L", ...load(100, 5, 1024), `127.0.0.1:${ports.lmtp}`]);
    assert.equal((await mail("bob", 100)).length, 100);
  });
});
