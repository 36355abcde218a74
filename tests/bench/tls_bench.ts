/**
 * What TLS on both sides costs: messages relayed per second, and processor time of the server for each, beside plain
 * text. Connections are kept, as mail servers keep them; load and next hop are our own programs in both cases, with the
 * runtime's TLS. The exit status is 1 if less than 60 % of the rate is left.
 *
 * `--per-connection 1` measures a handshake for each message on the inbound side instead, `--sides in` or `--sides out`
 * TLS on one side only.
 *
 * ```sh
 * deno run -A tests/bench/tls_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { configuration } from "../../scripts/bench/godwit.ts";
import { usage } from "../../scripts/bench/processes.ts";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";
import type { GeneratorResult } from "../../scripts/mail/generator.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import { makeCertificate, type TestCertificate } from "../support/certificates.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "6000" },
    connections: { type: "string", default: "20" },
    size: { type: "string", default: "4096" },
    repetitions: { type: "string", default: "3" },
    "per-connection": { type: "string", default: "1000000" },
    key: { type: "string", default: "ec" },
    sides: { type: "string", default: "both" },
    // For the process that the bench starts for its next hop.
    "as-sink": { type: "string" },
    certificate: { type: "string" },
  },
});

/** Share of the rate in plain text that must be left. */
const TARGET = 0.6;

if (values["as-sink"] !== undefined) await sink(Number(values["as-sink"]), values.certificate);

async function sink(port: number, certificate: string | undefined): Promise<never> {
  const tls = certificate === undefined ? undefined : JSON.parse(certificate) as { cert: string; key: string };
  const running = startSink({ port, ...(tls === undefined ? {} : { tls }) });
  let printed = -1;
  for (;;) {
    if (running.count > printed) console.log(printed = running.count);
    await pause(20);
  }
}

const authority = await makeCertificate({ names: ["bench authority"], authority: true });
const certificate = await makeCertificate({
  names: ["127.0.0.1", "localhost"],
  key: values.key === "rsa" ? "rsa" : "ec",
  issuer: authority,
});

interface Run {
  readonly rate: number;
  /** Milliseconds of processor time of the server for each message. */
  readonly cpu: number;
}

function settings(port: number, { cert, privateKey }: TestCertificate): string {
  return `
[server.listener.secure]
bind = "127.0.0.1:${port}"
protocol = "smtp"
tls.enable = true
tls.implicit = true
[certificate.main]
cert = '''${cert}'''
private-key = '''${privateKey}'''
`;
}

interface Server {
  /** Sends so many messages through it and waits until the next hop has them. */
  relay(messages: number): Promise<Run>;
}

/**
 * Starts a server and its next hop, which end with `stack`.
 *
 * @param inbound TLS from the load, @param outbound TLS to the next hop
 */
async function start(inbound: boolean, outbound: boolean, stack: AsyncDisposableStack): Promise<Server> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const [port, securePort, sinkPort] = [freePort(), freePort(), freePort()];
  const self = ["run", "-A", "--quiet", import.meta.filename ?? ""];
  const { cert, privateKey } = certificate;
  const nextHop = new Deno.Command(Deno.execPath(), {
    args: [
      ...self,
      ...["--as-sink", `${sinkPort}`],
      ...(outbound ? ["--certificate", JSON.stringify({ cert, key: privateKey })] : []),
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  stack.defer(async () => {
    nextHop.kill("SIGKILL");
    await nextHop.status;
  });
  let taken = 0;
  let notify = () => {};
  (async () => {
    for await (const text of nextHop.stdout.pipeThrough(new TextDecoderStream())) {
      const last = text.trim().split("\n").at(-1);
      if (last !== undefined) taken = Number(last);
      notify();
    }
  })();
  const reached = (count: number) =>
    new Promise<void>((resolve) => {
      notify = () => taken >= count && resolve();
      notify();
    });
  const config = `${folder}/config.toml`;
  let text = configuration(port, sinkPort, freePort());
  if (inbound) text += settings(securePort, certificate);
  if (outbound) {
    // A server without a name has no sessions to resume.
    text = text.replace('address = "127.0.0.1"', 'address = "localhost"')
      .replace("tls.implicit = false", "tls.implicit = true");
    await Deno.writeTextFile(`${folder}/roots.pem`, authority.cert);
  }
  await Deno.writeTextFile(config, text);
  const child = startGodwit({ config, cwd: folder, env: outbound ? { SSL_CERT_FILE: `${folder}/roots.pem` } : {} });
  stack.defer(async () => {
    child.kill("SIGTERM");
    if (await Promise.race([child.status, pause(15_000)]) === undefined) child.kill("SIGKILL");
    await child.status;
  });
  await greeted(port, child.status);
  const load = async (messages: number) => {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--allow-net", `${import.meta.dirname}/../../scripts/mail/generator.ts`],
        ...["--port", `${inbound ? securePort : port}`, "--messages", `${messages}`],
        ...["--connections", values.connections, "--size", values.size],
        ...["--per-connection", values["per-connection"]],
        ...(inbound ? [`--ca=${authority.cert}`] : []),
      ],
    }).output();
    if (!success) throw new Error(`the generator failed: ${new TextDecoder().decode(stderr)}`);
    return JSON.parse(new TextDecoder().decode(stdout)) as GeneratorResult;
  };
  let sent = 0;
  return {
    async relay(messages) {
      const before = usage(child.pid).cpuSeconds;
      const began = performance.now();
      const { refused, refusal } = await load(messages);
      if (refused > 0) throw new Error(`the server refused ${refused} messages: ${refusal}`);
      await reached(sent += messages);
      const seconds = (performance.now() - began) / 1000;
      return { rate: messages / seconds, cpu: (usage(child.pid).cpuSeconds - before) * 1000 / messages };
    },
  };
}

function median(runs: readonly Run[], figure: keyof Run): number {
  const sorted = runs.map((one) => one[figure]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const kinds = [
  { name: "plain text", inbound: false, outbound: false, runs: [] as Run[] },
  {
    name: values.sides === "both" ? "TLS on both sides" : `TLS ${values.sides}`,
    inbound: values.sides !== "out",
    outbound: values.sides !== "in",
    runs: [] as Run[],
  },
] as const;
const messages = Number(values.messages);
{
  await using stack = new AsyncDisposableStack();
  // Both run from the beginning to the end: what else the machine does from minute to minute falls on both.
  const servers: { readonly server: Server; readonly runs: Run[] }[] = [];
  for (const { inbound, outbound, runs } of kinds) {
    const server = await start(inbound, outbound, stack);
    // The compiler of the engine is not done before some thousand messages, and a server runs for longer than that.
    await server.relay(messages);
    servers.push({ server, runs });
  }
  for (let repetition = 0; repetition < Number(values.repetitions); repetition++) {
    // Each is first at times.
    for (const { server, runs } of repetition % 2 === 0 ? servers : servers.toReversed()) {
      runs.push(await server.relay(messages));
    }
  }
}
const plain = kinds[0].runs;
for (const { name, runs } of kinds) {
  const share = median(runs, "rate") / median(plain, "rate");
  console.log(
    `${name.padEnd(18)} ${median(runs, "rate").toFixed(0).padStart(6)} messages/s (${(share * 100).toFixed(0)} %)  ` +
      `${median(runs, "cpu").toFixed(3)} ms of processor time each  ` +
      `(runs: ${runs.map(({ rate, cpu }) => `${rate.toFixed(0)}/${cpu.toFixed(2)}`).join(" ")})`,
  );
}
Deno.exit(median(kinds[1].runs, "rate") >= TARGET * median(plain, "rate") ? 0 : 1);
