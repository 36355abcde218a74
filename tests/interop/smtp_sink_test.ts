import assert from "node:assert/strict";
import { withSmtpSink } from "./peer.ts";
import { eventually, queued, submit, withServer } from "./server.ts";

const to = "dave@elsewhere.example";

for (
  const [what, options] of [
    ["with everything it offers", []],
    ["that knows no ESMTP", ["-e"]],
    ["without pipelining", ["-p"]],
    ["without enhanced status codes and DSN", ["-E", "-N"]],
    ["that answers slowly", ["-w", "1"]],
    ["that thinks about RCPT and the data", ["-W", "RCPT:2", "-W", ".:2"]],
    ["without 8BITMIME and SIZE", ["-8"]],
  ] as const
) {
  Deno.test(`mail is delivered to an smtp-sink ${what}`, async () => {
    await withSmtpSink(options, async (port) => {
      await withServer({ relayPort: port, openRelay: true }, async (server) => {
        await submit(server, to);
        await eventually("the queue is empty", async () => (await queued(server)).length === 0 || undefined);
      });
    });
  });
}

Deno.test("mail is delivered to an smtp-sink over LMTP", async () => {
  await withSmtpSink(["-L"], async (port) => {
    await withServer({ relayPort: port, relayProtocol: "lmtp", openRelay: true }, async (server) => {
      await submit(server, to);
      await eventually("the queue is empty", async () => (await queued(server)).length === 0 || undefined);
    });
  });
});

for (
  const [what, options, status] of [
    ["a soft refusal of RCPT", ["-r", "RCPT"], 450],
    ["a soft refusal of the data", ["-r", "."], 450],
    ["421 and a closed connection at DATA", ["-Q", "DATA"], 421],
    ["a connection closed without a word after the data", ["-q", "."], 0],
    ["a connection closed without a word at CONNECT", ["-q", "CONNECT"], 0],
    ["a connection closed without a word at EHLO", ["-q", "EHLO"], 0],
    ["a connection closed without a word at MAIL", ["-q", "MAIL"], 0],
    ["a connection closed without a word at RCPT", ["-q", "RCPT"], 0],
    ["a connection closed without a word at DATA", ["-q", "DATA"], 0],
    ["421 and a closed connection at CONNECT", ["-Q", "CONNECT"], 421],
    ["421 and a closed connection after the data", ["-Q", "."], 421],
    ["a soft refusal at CONNECT", ["-r", "CONNECT"], 450],
    ["a soft refusal of MAIL", ["-r", "MAIL"], 450],
    ["a soft refusal of DATA", ["-r", "DATA"], 450],
    ["a refusal in words of its own", ["-r", "RCPT", "-b", "451 4.7.1 come back later"], 451],
  ] as const
) {
  Deno.test(`after ${what} the message stays queued`, async () => {
    await withSmtpSink(options, async (port) => {
      await withServer({ relayPort: port, openRelay: true }, async (server) => {
        await submit(server, to);
        const waiting = await eventually("an attempt is recorded", async () => {
          const [first] = await queued(server);
          return first !== undefined && first.attempts > 0 ? first : undefined;
        });
        assert.equal(waiting.state, "queued");
        assert.equal(waiting.lastStatus, status);
      });
    });
  });
}

for (const command of ["MAIL", "RCPT", "DATA", "."]) {
  Deno.test(`after a hard refusal of ${command} the sender is told`, async () => {
    await withSmtpSink(["-f", command], async (port) => {
      await withServer({ relayPort: port, openRelay: true }, async (server) => {
        await submit(server, to);
        const [notice] = await server.mail("ana");
        assert.match(notice!, /^Return-Path: <>/m);
        assert.match(notice!, /^Content-Type: multipart\/report;[^]*?report-type="?delivery-status/m);
        assert.match(notice!, /^Final-Recipient: rfc822; ?dave@elsewhere\.example/m);
        assert.match(notice!, /^Action: failed/m);
        assert.match(notice!, /^Status: 5\.3\.0/m);
        assert.match(notice!, /^Diagnostic-Code: smtp; ?500 5\.3\.0 Error: command failed/m);
        assert.deepEqual(await queued(server), []);
      });
    });
  });
}
