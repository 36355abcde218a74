/** Replays every dialogue of `dialogues/` against a server with the settings below. */

import { replay } from "../support/transcript.ts";
import { startTestServer } from "../support/server.ts";

const SETTINGS = `
session.auth.errors.wait = "0s"
session.auth.mechanisms = "['plain', 'login']"
session.auth.require = false
session.rcpt.errors = { wait = "0s" }
session.rcpt.max-recipients = 5
session.data.limits = { size = 1_000_000, messages = 3 }
`;

const folder = new URL("./dialogues/", import.meta.url);

for (const entry of [...Deno.readDirSync(folder)].sort((a, b) => a.name.localeCompare(b.name))) {
  const script = Deno.readTextFileSync(new URL(entry.name, folder));
  Deno.test(`dialogue: ${entry.name.replace(/\.smtp$/, "").replaceAll("_", " ")}`, async () => {
    await using test = await startTestServer(SETTINGS);
    const listener = entry.name.startsWith("lmtp") ? "lmtp" : "smtp";
    await replay(script, test.address(listener), { trust: [test.certificate.cert] });
  });
}
