import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { HookConfig } from "../../../../src/config/config.ts";
import { constantSetting } from "../../../../src/expression/mod.ts";
import { createHookFilter } from "../../../../src/filter/hook/filter.ts";
import { createFilterChain, type FilteredTransaction } from "../../../../src/filter/mod.ts";
import { memoryEditable } from "../../../../src/filter/modify.ts";
import { octets } from "../../../support/bytes.ts";
import { makeCertificate } from "../../../support/certificates.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { ALL, ANA, eventLog, SESSION, text, transaction as filtered } from "../filtered.ts";

const NOTIFIED: Partial<FilteredTransaction> = {
  recipients: [{
    ...ANA,
    parameters: { notify: { never: true, success: false, failure: false, delay: false } },
  }],
};

function transaction(content = "Subject: hi\r\nX: 1\r\nX: 2\r\n\r\nbody\r\n") {
  return filtered(content, NOTIFIED);
}

/** Runs `body` with a hook server that answers by `answer`. */
async function withHook(
  answer: (request: Request) => Response | Promise<Response>,
  body: (it: World, requests: readonly Recorded[]) => Promise<void>,
  settings: Partial<HookConfig> = {},
  tls: { cert?: string; key?: string } = {},
) {
  const requests: Recorded[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls }, async (request, info) => {
    const copy = request.clone();
    requests.push({
      headers: request.headers,
      json: await request.json(),
      method: request.method,
      port: info.remoteAddr.port,
    });
    return await answer(copy);
  });
  const it = world(`http${tls.cert === undefined ? "" : "s"}://127.0.0.1:${server.addr.port}/filter?x=1`, settings);
  try {
    await body(it, requests);
  } finally {
    it.filter.retire();
    await server.shutdown();
  }
}

interface Recorded {
  readonly headers: Headers;
  readonly json: unknown;
  readonly method: string;
  readonly port: number;
}

function world(url: string, settings: Partial<HookConfig> = {}) {
  const clock = new FakeClock();
  const { events, emit } = eventLog();
  const troubles: string[] = [];
  const filter = createHookFilter({
    id: "h",
    enable: constantSetting("session.hook.h.enable", true),
    url,
    stages: new Set(ALL),
    timeout: 30_000,
    allowInvalidCerts: false,
    headers: [],
    auth: undefined,
    tempfailOnError: true,
    maxResponseSize: 10_000,
    ...settings,
  }, {
    clock,
    resolver: {
      a: () => Promise.resolve({ records: ["127.0.0.1"], security: "insecure" as const, ttl: 1 }),
      aaaa: () => Promise.reject(new Error("none")),
    } as never,
    emit,
  });
  const run = createFilterChain([filter])!.open(SESSION, (_, problem) => troubles.push(problem));
  return { clock, events, troubles, filter, run };
}

type World = ReturnType<typeof world>;

const json = (value: unknown) => () => Response.json(value);

Deno.test("a hook is told all about a message at its end", async () => {
  await withHook(json({ action: "accept" }), async ({ run }, requests) => {
    assert.equal(
      (await run.judge("data", transaction("Subject: hi\r\nTo: a,\r\n b\r\n\r\nbody\r\n"))).verdict.kind,
      "accept",
    );
    assert.equal(requests[0]?.method, "POST");
    assert.equal(requests[0]?.headers.get("content-type"), "application/json");
    assert.deepEqual(requests[0]?.json, {
      context: {
        stage: "DATA",
        sasl: { login: "ana", method: "plain" },
        client: {
          ip: "192.0.2.7",
          port: 4711,
          ptr: "host.example.net",
          ehlo: "client.example.net",
          activeConnections: 1,
        },
        tls: { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", cipherBits: 256 },
        server: { name: "mx.example.org", port: 25, ip: "192.0.2.1" },
        queue: { id: "queue1" },
        protocol: { version: "1.0" },
      },
      envelope: {
        from: { address: "a@example.net", parameters: { size: 100, body: "8BITMIME" } },
        to: [{ address: "ana@example.org", parameters: { notify: "NEVER" } }],
      },
      message: {
        headers: [["Subject", "hi"], ["To", "a,\r\n b"]],
        serverHeaders: [["Received", "from x\r\n\tby y"]],
        contents: "body\r\n",
        size: 33,
      },
    });
  });
});

Deno.test("at earlier stages there is only what is known by then, and connections are kept", async () => {
  await withHook(json({ action: "accept" }), async ({ run }, requests) => {
    await run.judge("connect");
    await run.judge("mail", { sender: "", parameters: {}, recipients: [] });
    const recipient = { address: "bob@example.org", parameters: {} };
    await run.judge("rcpt", { sender: "", parameters: {}, recipients: [], recipient });
    assert.deepEqual(requests.map(({ json }) => (json as { context: { stage: string } }).context.stage), [
      "CONNECT",
      "MAIL",
      "RCPT",
    ]);
    assert.equal("envelope" in (requests[0]?.json as object), false);
    assert.deepEqual((requests[2]?.json as { envelope: unknown }).envelope, {
      from: { address: "", parameters: null },
      to: [{ address: "bob@example.org", parameters: null }],
    });
    assert.equal(new Set(requests.map(({ port }) => port)).size, 1);
  });
});

Deno.test("login and header lines go along", async () => {
  const settings = { auth: { username: "u", secret: "pä:ss" }, headers: [["X-Key", "a: b"]] as const };
  await withHook(json({ action: "accept" }), async ({ run }, requests) => {
    await run.judge("ehlo");
    assert.equal(requests[0]?.headers.get("x-key"), "a: b");
    assert.equal(requests[0]?.headers.get("authorization"), "Basic dTpww6Q6c3M=");
  }, settings);
});

const CHANGES = [
  [{ type: "addHeader", name: "New", value: "v" }, "Subject: hi\r\nX: 1\r\nX: 2\r\nNew: v\r\n\r\nbody\r\n"],
  [
    { type: "insertHeader", index: 0, name: "New", value: "v" },
    "New: v\r\nSubject: hi\r\nX: 1\r\nX: 2\r\n\r\nbody\r\n",
  ],
  [
    { type: "insertHeader", index: 2, name: "New", value: "v" },
    "Subject: hi\r\nNew: v\r\nX: 1\r\nX: 2\r\n\r\nbody\r\n",
  ],
  [{ type: "changeHeader", index: 2, name: "X", value: "two" }, "Subject: hi\r\nX: 1\r\nX: two\r\n\r\nbody\r\n"],
  [{ type: "deleteHeader", index: 1, name: "X" }, "Subject: hi\r\nX: 2\r\n\r\nbody\r\n"],
  [{ type: "replaceContents", value: "new\nb\udce4\n" }, "Subject: hi\r\nX: 1\r\nX: 2\r\n\r\nnew\r\nb\xe4\r\n"],
  [{ type: "addHeader", name: "F", value: "a\r\n\tb" }, "Subject: hi\r\nX: 1\r\nX: 2\r\nF: a\r\n\tb\r\n\r\nbody\r\n"],
  [
    { type: "addHeader", name: "Evil", value: "a\r\nB: c" },
    "Subject: hi\r\nX: 1\r\nX: 2\r\nEvil: a\r\n\tB: c\r\n\r\nbody\r\n",
  ],
] as const;

for (const [modification, wanted] of CHANGES) {
  Deno.test(`${JSON.stringify(modification)} changes the message so`, async () => {
    await withHook(json({ action: "accept", modifications: [modification] }), async ({ run }) => {
      assert.equal(text((await run.judge("data", transaction())).transaction), wanted);
    });
  });
}

Deno.test("envelopes are changed in order, in both spellings", async () => {
  const modifications = [
    { type: "changeFrom", value: "b@example.net", parameters: { RET: "HDRS", smtputf8: null } },
    { type: "addRecipient", value: "carl@example.org", parameters: { notify: "NEVER" } },
    { type: "addRcpt", value: "<dora@example.org>" },
    { type: "deleteRcpt", value: "ana@example.org" },
    { type: "deleteRecipient", value: "dora@example.org" },
  ];
  await withHook(json({ action: "accept", modifications }), async ({ run }) => {
    const { transaction: changed } = await run.judge("data", transaction());
    assert.equal(changed?.sender, "b@example.net");
    assert.deepEqual(changed?.parameters, { size: 100, body: "8bitmime", ret: "hdrs", smtputf8: true });
    assert.deepEqual(changed?.recipients.map(({ address }) => address), ["carl@example.org"]);
  });
});

Deno.test("what is no UTF-8 goes through a hook and back without loss", async () => {
  const echo = async (request: Request) => {
    const { message } = await request.json();
    return Response.json({
      action: "accept",
      modifications: [
        { type: "replaceContents", value: message.contents },
        { type: "changeHeader", index: 1, name: "A", value: message.headers[0][1] },
      ],
    });
  };
  await withHook(echo, async ({ run }) => {
    const bytes = Uint8Array.of(...octets("A: "), 0xe9, 0x0d, 0x0a, 0x0d, 0x0a, 0x80, 0xff, 0xc3, 0xa4, 0x0d, 0x0a);
    const given = transaction();
    const outcome = await run.judge("data", {
      ...given,
      message: { ...given.message!, content: memoryEditable(bytes) },
    });
    assert.deepEqual([...outcome.transaction!.message!.content.head], [...bytes]);
  });
});

Deno.test("content that is not in memory is told piece by piece, and the same", async () => {
  const body = [...octets('gr\u00fc\u00df "\\ \ud83d\ude00\t'), 0xff, 0xe2, 0x82, ...octets("x\r\n")];
  const whole = Uint8Array.from([...octets("Subject: x\r\n\r\n"), ...Array(20_000).fill(body).flat()]);
  const spilled = {
    ...memoryEditable(whole),
    head: whole.subarray(0, 1000),
    complete: false,
    *chunks() {
      for (let at = 0; at < whole.length; at += 99_991) yield whole.subarray(at, at + 99_991);
    },
  };
  await withHook(json({ action: "accept" }), async ({ run }, requests) => {
    for (const content of [memoryEditable(whole), spilled]) {
      const given = transaction();
      const outcome = await run.judge("data", { ...given, message: { ...given.message, content } });
      assert.equal(outcome.verdict.kind, "accept");
    }
    const [first, second] = requests;
    assert.equal(second?.headers.get("content-length"), first?.headers.get("content-length"));
    assert.ok((first?.json as { message: { contents: string } }).message.contents.length > 300_000);
    assert.deepEqual(second?.json, first?.json);
  });
});

Deno.test("a hook that does not take a long request costs its timeout", async () => {
  const connected = Promise.withResolvers<void>();
  const server = createServer({ pauseOnConnect: true }, () => connected.resolve());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const { run, filter, clock, events } = world(`http://127.0.0.1:${address.port}/`);
  const piece = new Uint8Array(1_000_000).fill(0x61);
  const head = octets("A: b\r\n\r\n");
  const content = {
    ...memoryEditable(head),
    size: head.length + 30 * piece.length,
    complete: false,
    *chunks() {
      yield head;
      for (let i = 0; i < 30; i++) yield piece;
    },
  };
  const given = transaction();
  const judged = run.judge("data", { ...given, message: { ...given.message, content } });
  await connected.promise;
  await clock.advance(30_000);
  assert.equal((await judged).verdict.kind, "reply");
  assert.match(String(events[0]?.fields["reason"]), /within 30 s/);
  filter.retire();
  server.close();
});

Deno.test("reject in the words of the hook, at each stage with a code that fits", async () => {
  const response = { status: 451, enhancedStatus: "4.7.9", message: "Not now\nlater", disconnect: true };
  await withHook(json({ action: "reject", response }), async ({ run, events }) => {
    assert.deepEqual((await run.judge("rcpt", transaction())).verdict, {
      kind: "reply",
      reply: { code: 451, enhanced: "4.7.9", text: ["Not now", "later"] },
      disconnect: true,
    });
    const { verdict } = await run.judge("connect");
    assert.equal(verdict.kind === "reply" && verdict.reply.code, 421);
    assert.equal(events[0]?.name, "mta-hook.action-reject");
    assert.equal(events[0]?.fields["filter"], "h");
  });
  await withHook(json({ action: "reject" }), async ({ run }) => {
    const { verdict } = await run.judge("data", transaction());
    assert.equal(verdict.kind === "reply" && `${verdict.reply.code} ${verdict.reply.enhanced}`, "550 5.7.1");
  });
});

for (const action of ["discard", "quarantine"] as const) {
  Deno.test(`${action} is what it says`, async () => {
    await withHook(json({ action }), async ({ run, events }) => {
      assert.equal((await run.judge("data", transaction())).verdict.kind, action);
      assert.equal(events[0]?.name, `mta-hook.action-${action}`);
    });
  });
}

const FAILURES: readonly (readonly [string, () => Response, RegExp])[] = [
  ["500", () => new Response("no", { status: 500 }), /status 500/],
  ["404", () => new Response("no", { status: 404 }), /status 404/],
  ["a redirection", () => new Response(null, { status: 302, headers: { location: "/" } }), /status 302/],
  ["no JSON", () => new Response("<html>"), /no JSON/],
  ["an empty answer", () => new Response(""), /no JSON/],
  ["an unknown action", json({ action: "explode" }), /action/],
  ["a list", json([]), /format/],
  ["an unknown modification", json({ action: "accept", modifications: [{ type: "x" }] }), /modifications\.0/],
  [
    "a negative index",
    json({ action: "accept", modifications: [{ type: "deleteHeader", index: -1, name: "X" }] }),
    /index/,
  ],
  ["a rejection with success", json({ action: "reject", response: { status: 250 } }), /status 250/],
  ["an answer that is too large", () => new Response("x".repeat(10_001)), /larger than 10000/],
];

for (const [what, answer, reason] of FAILURES) {
  Deno.test(`${what} puts the client off, or is passed over where that is configured`, async () => {
    await withHook(answer, async ({ run, events }) => {
      const { verdict } = await run.judge("data", transaction());
      assert.equal(verdict.kind === "reply" && verdict.reply.code, 451);
      assert.equal(events[0]?.name, "mta-hook.error");
      assert.match(String(events[0]?.fields["reason"]), reason);
    });
    await withHook(answer, async ({ run }) => {
      assert.equal((await run.judge("data", transaction())).verdict.kind, "accept");
    }, { tempfailOnError: false });
  });
}

Deno.test("a hook that is silent costs its timeout, one that is absent nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const never = Promise.withResolvers<Response>();
  await withHook(() => {
    asked.resolve();
    return never.promise;
  }, async ({ run, clock, events }) => {
    const judged = run.judge("ehlo");
    await asked.promise;
    await clock.advance(30_000);
    assert.equal((await judged).verdict.kind, "reply");
    assert.match(String(events[0]?.fields["reason"]), /within 30 s/);
    never.resolve(new Response(""));
  });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { run, filter } = world(`http://127.0.0.1:${port}/`);
  assert.equal((await run.judge("ehlo")).verdict.kind, "reply");
  filter.retire();
});

Deno.test("fifty calls at the same time are enough; others wait for their turn", async () => {
  const full = Promise.withResolvers<void>();
  let open = 0;
  let most = 0;
  const answer = async () => {
    most = Math.max(most, ++open);
    if (open === 50) full.resolve();
    await full.promise;
    open--;
    return Response.json({ action: "accept" });
  };
  await withHook(answer, async ({ run }, requests) => {
    const outcomes = await Promise.all(Array.from({ length: 70 }, () => run.judge("ehlo")));
    assert.ok(outcomes.every(({ verdict }) => verdict.kind === "accept"));
    assert.equal(requests.length, 70);
    assert.equal(most, 50);
  });
});

Deno.test("a call is not repeated when a connection that was kept breaks", async () => {
  const body = '{"action":"accept"}';
  const calls: number[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    socket.on("error", () => {});
    socket.on("data", (data) => {
      if (!data.includes("POST")) return;
      calls.push(connection);
      if (calls.length === 2) return void socket.destroy();
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const { run, filter, events } = world(`http://127.0.0.1:${address.port}/`);
  assert.equal((await run.judge("ehlo")).verdict.kind, "accept");
  assert.equal((await run.judge("ehlo")).verdict.kind, "reply");
  assert.match(String(events.at(-1)?.fields["reason"]), /closed the connection/);
  assert.equal((await run.judge("ehlo")).verdict.kind, "accept");
  assert.deepEqual(calls, [1, 1, 2]);
  filter.retire();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("names are asked of the resolver; a certificate must verify unless that is switched off", async () => {
  const { cert, privateKey } = await makeCertificate({ names: ["hook.example"] });
  const tls = { cert, key: privateKey };
  await withHook(
    json({ action: "accept" }),
    async ({ run, events }) => {
      assert.equal((await run.judge("ehlo")).verdict.kind, "reply");
      assert.match(String(events[0]?.fields["reason"]), /certificate/i);
    },
    {},
    tls,
  );
  await withHook(
    json({ action: "accept" }),
    async ({ run }) => {
      assert.equal((await run.judge("ehlo")).verdict.kind, "accept");
    },
    { allowInvalidCerts: true },
    tls,
  );
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, json({ action: "discard" }));
  const named = world(`http://hook.example:${server.addr.port}/`);
  assert.equal((await named.run.judge("ehlo")).verdict.kind, "discard");
  named.filter.retire();
  await server.shutdown();
});
