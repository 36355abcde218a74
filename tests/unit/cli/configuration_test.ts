/** What commands make of a configuration that is used although something in it is doubtful. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { emitWarnings, read } from "../../../src/cli/configuration.ts";

Deno.test("warnings are events with key and line, those about spelling apart", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  const file = join(folder, "config.toml");
  await Deno.writeTextFile(
    file,
    `server.hostname = "mx.example.org"
server.listener.smtp = { bind = "127.0.0.1:0", protocol = "smtp" }
store.data = { type = "libsql", url = "file:${folder}/godwit.db" }
storage.data = "data"
session.connect.mail = false
tracing.level."smtp.no-such-event" = "info"
`,
  );
  const { config, problems } = await read(file);
  await Deno.remove(folder, { recursive: true });
  assert.ok(config);
  const told: unknown[] = [];
  emitWarnings((name, fields) => void told.push([name, fields]), problems);
  assert.deepEqual(told, [
    ["config.parse-warning", {
      key: "session.mail.script",
      line: 5,
      reason: "written as 'session.connect.mail', an older spelling",
    }],
    ["config.build-warning", {
      key: "tracing.level",
      line: 6,
      reason: 'there is no event of this name: "smtp.no-such-event"',
    }],
  ]);
});
