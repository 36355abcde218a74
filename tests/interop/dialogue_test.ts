/** What is kept and shown of dialogues with servers and clients of others. */

import assert from "node:assert/strict";
import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { withSmtpSink } from "./peer.ts";
import { eventually, run, submit, type TestServer, withServer } from "./server.ts";

const TO = "dave@elsewhere.example";

interface Shown {
  readonly recipients: readonly {
    readonly address: string;
    readonly attempts: number;
    readonly dialogue?: readonly { readonly at: number; readonly from: string; readonly text: string }[];
  }[];
}

/** What was said about a recipient in the last attempt, once one has failed. */
async function dialogue({ ports }: TestServer): Promise<string[]> {
  const api = `http://127.0.0.1:${ports.http}/api/queue/messages`;
  return await eventually("an attempt has failed", async () => {
    const { messages } = await (await fetch(api)).json() as { readonly messages: readonly { readonly id: string }[] };
    if (messages[0] === undefined) return undefined;
    const shown = await (await fetch(`${api}/${messages[0].id}`)).json() as Shown;
    return shown.recipients[0]?.dialogue?.map(({ from, text }) => `${from} ${text}`);
  });
}

for (
  const [what, options, end] of [
    ["refuses RCPT for now", ["-r", "RCPT"], [/^client RCPT TO:<dave@elsewhere\.example>/, /^server 450 /]],
    ["refuses the content for now", ["-r", "."], [/^client \(\d+ octets of content\)$/, /^server 450 /]],
    ["hangs up at MAIL", ["-q", "MAIL"], [/^note connection closed by the other side$/]],
    ["says 421 at DATA", ["-Q", "DATA"], [/^server 421 /]],
  ] as const
) {
  Deno.test(`a dialogue with an smtp-sink that ${what} is kept`, async () => {
    // Without PIPELINING the last thing said is what it was about.
    await withSmtpSink(["-p", ...options], async (port) => {
      await withServer({ relayPort: port, openRelay: true }, async (server) => {
        await submit(server, TO);
        const lines = await dialogue(server);
        assert.match(lines[0] ?? "", /^server 220 /);
        assert.match(lines[1] ?? "", /^client EHLO mx\.example\.net$/);
        const last = lines.slice(-end.length);
        for (const [index, pattern] of end.entries()) assert.match(last[index] ?? "", pattern, lines.join("\n"));
      });
    });
  });
}

Deno.test("a message that Postfix would not take shows what Postfix offered", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  const port = freePort();
  const running = await postfix.start({ folder, port, nextHop: 1, httpPort: 0, deferAll: false });
  try {
    await withServer({ relayPort: port, openRelay: true }, async (server) => {
      // Postfix takes 10,240,000 octets unless it is told otherwise.
      await submit(server, TO, { size: 11_000_000 });
      const [bounce] = await server.mail("ana");
      assert.match(bounce ?? "", /\r\n {4} *[0-9.]+ S: 250-SIZE 10240000\r\n/);
    });
  } finally {
    await running.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a login by swaks over STARTTLS is followed without its secrets", async () => {
  await withServer({}, async (server) => {
    const response = await fetch(`http://127.0.0.1:${server.ports.http}/api/trace?direction=in`);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    await run("swaks", [
      ...["--server", `127.0.0.1:${server.ports.submission}`, "--tls", "--auth", "LOGIN"],
      ...[
        "--auth-user",
        "ana",
        "--auth-password",
        "secret-ana",
        "--from",
        "ana@example.net",
        "--to",
        "bob@example.net",
      ],
    ]);
    let text = "";
    while (!text.includes("connection closed")) text += (await reader.read()).value ?? assert.fail(text);
    await reader.cancel();
    assert.match(text, /TLS agreed: TLSv1\.3/);
    assert.match(text, /"AUTH \*\*\*"/);
    assert.match(text, /RCPT TO:<bob@example\.net>/);
    for (const secret of ["secret-ana", btoa("ana"), btoa("secret-ana")]) assert.ok(!text.includes(secret), secret);
  });
});
