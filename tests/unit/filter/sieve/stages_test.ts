/** What scripts do at each stage of a session. */

import assert from "node:assert/strict";
import { dialogue, greeted, openSession, sendMessage } from "../../../support/session.ts";
import { at, reasons, scripted, unreachable } from "./scripted.ts";

Deno.test("a refusal has the codes that its text begins with, at every stage", async () => {
  const refusing = 'reject "451 4.7.1 Come back later.";';
  assert.equal(await openSession(scripted(at("connect", refusing))).reply(), "451 4.7.1 Come back later.");
  const ehlo = openSession(scripted(at("ehlo", refusing)));
  await ehlo.reply();
  await dialogue(ehlo, ["EHLO client.example.net", "451 4.7.1 Come back later."], ["MAIL FROM:<a@b.example>", "503"]);
  const mail = await greeted(scripted(at("mail", refusing)));
  await dialogue(mail, ["MAIL FROM:<a@example.net>", "451 4.7.1 Come back"], ["RCPT TO:<ana@example.org>", "503"]);
  const rcpt = await greeted(scripted(at("rcpt", refusing)));
  await dialogue(
    rcpt,
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<ana@example.org>", "451 4.7.1 Come back later."],
    ["DATA", "503"],
  );
  const world = scripted(at("data", refusing));
  assert.equal(await sendMessage(await greeted(world)), "451 4.7.1 Come back later.");
  assert.deepEqual([world.queue.messages.length, world.queue.pending], [0, 0]);
});

Deno.test("a refusal without codes, or with codes that contradict each other, is 550 5.7.1", async () => {
  for (
    const [text, expected] of [
      ["Go away", "550 5.7.1 Go away"],
      ["451 5.7.1 Odd", "550 5.7.1 451 5.7.1 Odd"],
      ["250 2.0.0 Fine", "550 5.7.1 250 2.0.0 Fine"],
      ["", "550 5.7.1 Refused by a rule of this server"],
      ["554 5.7.1 One\ntwo", "554-5.7.1 One\n554 5.7.1 two"],
    ] as const
  ) {
    assert.equal(await sendMessage(await greeted(scripted(at("data", `ereject "${text}";`)))), expected);
  }
});

Deno.test("discard answers success and queues nothing", async () => {
  for (const stage of ["connect", "ehlo", "mail", "rcpt", "data"]) {
    const world = scripted(at(stage, "discard;"));
    assert.match(await sendMessage(await greeted(world)), /^250 2\.0\.0 /);
    assert.deepEqual([world.queue.messages.length, world.queue.pending], [0, 0], stage);
  }
});

Deno.test("the end of a script, keep and stop let everything go on as it was", async () => {
  for (const script of ["", "keep;", "stop; discard;", "keep; discard;"]) {
    const world = scripted(["connect", "ehlo", "mail", "rcpt", "data"].map((stage) => at(stage, script)).join(""));
    assert.match(await sendMessage(await greeted(world)), /^250 2\.0\.0 /);
    assert.equal(world.queue.text(0), "Subject: x\r\n\r\nbody\r\n");
  }
});

Deno.test("a script sees the session in env.* and the envelope in envelope.*", async () => {
  const script = `
    addheader "X-1" "\${env.stage} \${env.remote_ip} \${env.remote_ip.reverse} \${env.helo_domain} \${env.now}";
    addheader "X-2" "\${env.authenticated_as} \${env.from} \${env.tls.version} \${env.tls.cipher}";
    addheader "X-3" "\${env.param.body}|\${env.param.smtputf8}|\${env.param.requiretls}|\${env.spf.result}";
    addheader "X-4" "\${envelope.from} \${envelope.to} \${envelope.notify} \${envelope.orcpt} \${envelope.ret} \${envelope.envid}";
    addheader "X-5" "\${envelope.by_time_relative} \${envelope.by_mode} \${envelope.by_trace} \${envelope.by_time_absolute}";
    if environment "name" "godwit" { addheader "X-6" "yes"; }
    if envelope :domain "from" "example.net" { addheader "X-7" "yes"; }`;
  const world = scripted(`${at("data", script)}session.extensions.dsn = true\nsession.extensions.deliver-by = "1d"\n`);
  const client = await greeted(world, { tls: true, remoteIp: "2001:db8::5" });
  await dialogue(
    client,
    ["MAIL FROM:<a@example.net> BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=q1 BY=600;NT", "250"],
    ["RCPT TO:<bob@example.org>", "250"],
    ["RCPT TO:<ana@example.org> NOTIFY=DELAY,FAILURE ORCPT=rfc822;who@elsewhere.example", "250"],
    ["DATA", "354"],
  );
  client.send("From: Ana <Ana.L@client.example>\r\n\r\nx\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  const now = Math.floor(world.clock.now() / 1000);
  const nibbles = `5.${"0.".repeat(23)}8.b.d.0.1.0.0.2`;
  const text = world.queue.text(0).replaceAll(/\r\n[ \t]+/g, " ");
  const fields = [...text.matchAll(/^X-(\d): (.*)\r$/gm)].map(([, name, value]) => [name, value]).sort();
  assert.deepEqual(fields, [
    ["1", `data 2001:db8::5 ${nibbles} client.example.net ${now}`],
    ["2", " Ana.L@client.example TLSv1.3 TLS_AES_256_GCM_SHA384".trim()],
    ["3", "8bitmime|true|true|"],
    ["4", "a@example.net ana@example.org FAILURE,DELAY rfc822;who@elsewhere.example HDRS q1"],
    ["5", `600 N true ${new Date(world.clock.now() + 600_000).toISOString()}`],
    ["6", "yes"],
    ["7", "yes"],
  ]);
});

Deno.test("results of checks are there for scripts that ask for them", async () => {
  const result = (name: string, result: string, rest = {}) => ({ method: name, result, ...rest });
  const world = scripted(at(
    "data",
    'addheader "X-R" "${env.spf.result} ${env.spf_ehlo.result} ${env.dkim} ${env.dkim.domains} ${env.arc.result} ' +
      '${env.dmarc.result} ${env.dmarc.policy} ${env.iprev.result} ${env.iprev.ptr}";',
  ));
  const { filters } = world.deps;
  assert.ok(filters);
  const results = {
    spfMailFrom: result("spf", "softfail"),
    spfEhlo: result("spf", "pass"),
    dkim: [
      result("dkim", "fail", { domain: "bad.example" }),
      result("dkim", "pass", { domain: "b.example" }),
      result("dkim", "pass", { domain: "a.example" }),
    ],
    arc: result("arc", "none"),
    dmarc: result("dmarc", "fail", { policy: "reject" }),
    iprev: result("iprev", "pass", { name: "client.example.net" }),
  };
  // Handed in where sessions hand them in.
  const client = await greeted({
    ...world,
    deps: {
      ...world.deps,
      filters: { ...filters, open: (session, trouble) => filters.open(asChecked(session, results), trouble) },
    },
  });
  assert.match(await sendMessage(client), /^250 /);
  assert.match(
    world.queue.text(0).replaceAll(/\r\n[ \t]+/g, " "),
    /^X-R: softfail pass pass b\.example a\.example none fail reject pass client\.example\.net\r$/m,
  );
});

function asChecked<T extends object>(session: T, results: object): T {
  const checked = Object.create(session);
  checked.authResults = () => Promise.resolve(results);
  return checked;
}

Deno.test("every variable of the envelope can be set", async () => {
  const world = scripted(
    at("mail", 'set "envelope.from" "new@example.com"; set "envelope.ret" "full"; set "envelope.envid" "id 7";') +
      at("rcpt", 'set "envelope.to" "Other@EXAMPLE.com"; set "envelope.notify" "delay, success";') +
      at(
        "data",
        'set "envelope.orcpt" "rfc822;first@example.org"; set "envelope.by_time_relative" "300";' +
          'set "envelope.by_mode" "n"; set "envelope.by_trace" "true";',
      ),
  );
  assert.match(await sendMessage(await greeted(world)), /^250 /);
  const [message] = world.queue.messages;
  assert.deepEqual(message?.envelope, {
    sender: "new@example.com",
    parameters: { ret: "full", envid: "id 7", by: { seconds: 300, mode: "notify", trace: true } },
  });
  assert.deepEqual(message?.recipients, [{
    address: "Other@example.com",
    parameters: {
      notify: { never: false, success: true, failure: false, delay: true },
      orcpt: { type: "rfc822", address: "first@example.org" },
      original: "ana@example.org",
    },
  }]);
});

Deno.test("the null sender, a deadline by the clock, and the end of a deadline can be set", async () => {
  const world = scripted(at("mail", 'set "envelope.from" ""; set "envelope.by_time_absolute" "2030-01-01T00:00:00Z";'));
  assert.match(await sendMessage(await greeted(world)), /^250 /);
  assert.equal(world.queue.messages[0]?.envelope.sender, "");
  const seconds = Math.ceil((Date.UTC(2030, 0, 1) - world.clock.now()) / 1000);
  assert.deepEqual(world.queue.messages[0]?.envelope.parameters.by, { seconds, mode: "return", trace: false });
  const without = scripted(
    `${at("mail", 'set "envelope.by_time_relative" "";')}session.extensions.deliver-by = "1d"\n`,
  );
  const client = await greeted(without);
  await dialogue(client, ["MAIL FROM:<a@example.net> BY=600;N", "250"], ["RCPT TO:<ana@example.org>", "250"], [
    "DATA",
    "354",
  ]);
  client.send("\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.deepEqual(without.queue.messages[0]?.envelope.parameters, {});
});

Deno.test("what a variable of the envelope does not take is an error of the script, and nothing of it happens", async () => {
  for (
    const [name, value] of [
      ["from", "nobody"],
      ["to", ""],
      ["to", "a@b.example, c@d.example"],
      ["notify", "NEVER,DELAY"],
      ["orcpt", "no-semicolon"],
      ["ret", "all"],
      ["envid", "line\r\nbreak"],
      ["by_time_relative", "soon"],
      ["by_mode", "x"],
    ] as const
  ) {
    const world = scripted(at("data", `addheader "X-A" "b"; set "envelope.${name}" "${value}";`));
    assert.match(await sendMessage(await greeted(world)), /^250 /);
    assert.equal(world.queue.text(0), "Subject: x\r\n\r\nbody\r\n", name);
    assert.match(String(reasons(world, "sieve.runtime-error")), /cannot be set to/, name);
  }
});

Deno.test("a run-time error and a limit end the script; the message goes on as before, and the log says where", async () => {
  const world = scripted(
    `sieve.trusted.limits.cpu = 20\n${at("rcpt", 'set "envelope.to" "bob@example.org"; set "a" "1";\n'.repeat(30))}${
      at("data", 'addheader "X-A" "b";\nredirect "${a}";')
    }`,
  );
  assert.match(await sendMessage(await greeted(world)), /^250 /);
  assert.deepEqual(world.queue.messages[0]?.recipients.map(({ address }) => address), ["ana@example.org"]);
  assert.equal(world.queue.text(0), "Subject: x\r\n\r\nbody\r\n");
  const errors = world.events.filter(({ name }) => name === "sieve.runtime-error").map(({ fields }) => fields);
  assert.deepEqual(errors.map(({ stage, script }) => [stage, script]), [["rcpt", "rcpt"], ["data", "data"]]);
  assert.match(String(errors[0]?.reason), /more than 20 instructions/);
  assert.deepEqual([errors[1]?.line, errors[1]?.column], [2, 1]);
});

Deno.test("a list or store that cannot be reached gets 451, and the message stays with the client", async () => {
  const world = scripted(
    `lookup.bad."x@y.example" = true\n${at("mail", 'if envelope :list "from" "bad" { reject "no"; }')}`,
    { functions: { keyExists: unreachable } },
  );
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net>", "451 4.3.0"]);
  assert.deepEqual(reasons(world, "eval.lookup-unavailable"), ["the store is away"]);
});

Deno.test("a list that is not defined matches nothing and is logged", async () => {
  const world = scripted(at("mail", 'if envelope :list "from" ["nowhere"] { reject "no"; }'));
  await dialogue(await greeted(world), ["MAIL FROM:<a@example.net>", "250"]);
  assert.deepEqual(world.events.find(({ name }) => name === "sieve.list-not-found")?.fields.list, "nowhere");
});

Deno.test("the default address book is there, with nobody in it", async () => {
  const script = `if allof(valid_ext_list ":addrbook:default", not envelope :list "from" ":AddrBook:Default") {
    reject "550 5.7.1 Strangers are not heard";
  }`;
  const world = scripted(at("mail", script));
  await dialogue(await greeted(world), ["MAIL FROM:<a@example.net>", "550 5.7.1 Strangers"]);
  assert.ok(!world.events.some(({ name }) => name === "sieve.list-not-found"));
});

Deno.test("the items of RFC 5183 tell of the client, as far as anything is known", async () => {
  for (const [ip, literal] of [["192.0.2.7", "192.0.2.7"], ["2001:db8::7", "IPv6:2001:db8::7"]] as const) {
    const world = scripted(at(
      "mail",
      `if allof(environment "remote-ip" "${literal}", environment :is "remote-host" "", environment "location" "MTA",
        environment "phase" "pre", environment "name" "godwit", environment "version" "1.2.3",
        environment "host" "mx.example.org", environment "domain" "example.org",
        not environment :contains "vnd.unknown" "") { reject "550 5.7.1 All is right"; }`,
    ));
    const client = await greeted(world, { remoteIp: ip });
    await dialogue(client, ["MAIL FROM:<a@example.net>", "550 5.7.1 All is right"]);
  }
});

Deno.test("the script to run may be computed; one that is not defined is logged and passed over", async () => {
  const world = scripted(
    `session.rcpt.script = [{ if = "sender == 'a@example.net'", then = "'for_' + rcpt_domain" }, { else = false }]
sieve.trusted.scripts.for_example_org.contents = 'reject "550 5.7.1 By its own script";'
sieve.trusted.scripts."for_example.org".contents = 'reject "550 5.7.1 By the script of its domain";'
session.rcpt.relay = true\n`,
  );
  const client = await greeted(world);
  await dialogue(
    client,
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<ana@example.org>", "550 5.7.1 By the script of its domain"],
    ["RCPT TO:<x@example.com>", "250"],
  );
  assert.equal(world.events.filter(({ name }) => name === "sieve.script-not-found").length, 1);
});

Deno.test("what is not possible at a stage is as keep, and is logged", async () => {
  const world = scripted(
    at("connect", 'fileinto "Old"; set "envelope.from" "x@y.example";') + at("mail", 'redirect "x@y.example";') +
      at("ehlo", 'keep :flags "\\\\Seen";'),
  );
  assert.match(await sendMessage(await greeted(world)), /^250 /);
  assert.equal(world.queue.messages.length, 1);
  assert.deepEqual(reasons(world, "sieve.not-supported"), ["fileinto", "envelope.from", ":flags", "redirect"]);
});

Deno.test("fileinto and flags go with each recipient to its local delivery", async () => {
  const world = scripted(
    at("rcpt", 'if envelope "to" "bob@example.org" { fileinto :flags "\\\\Seen" "Team/News"; }') +
      at("data", 'if header "subject" "both" { fileinto :copy "Archive"; }'),
  );
  const client = await greeted(world);
  assert.match(await sendMessage(client, { to: ["ana@example.org", "bob@example.org"] }), /^250 /);
  assert.match(await sendMessage(client, { content: "Subject: both\r\n\r\n" }), /^250 /);
  assert.deepEqual(world.queue.messages.map(({ recipients }) => recipients.map(({ parameters }) => parameters)), [
    [{}, { copies: [{ mailbox: "Team/News", flags: ["\\Seen"] }] }],
    [{ copies: [{ mailbox: "Archive" }, {}] }],
  ]);
  assert.deepEqual(reasons(world, "sieve.not-supported"), []);
});
