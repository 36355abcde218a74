/** Milters of others beside godwit and Postfix: a Python program that does what each message says, and both servers. */

import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { type Dialogue, openDialogue } from "../../scripts/mail/dialogue.ts";
import { startSink, type SunkMessage } from "../../scripts/mail/sink.ts";
import { withPeer } from "./peer.ts";
import { eventually, run, type TestServer, tryRun, withServer } from "./server.ts";

/** Debian's own Python, which has its milter module. */
export const PYTHON = "/usr/bin/python3";

/** What the program does at the end of a message: a method of pymilter with its arguments, octets in latin1. */
export type Operation = readonly [method: string, ...args: readonly (string | number)[]];

/** The field that tells the program what to do. */
export function operations(...list: readonly Operation[]): string {
  const json = JSON.stringify(list).replace(/[^\0-\x7f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
  return `X-Operations: ${btoa(json)}\r\n`;
}

/**
 * A milter that obeys the field `X-Operations`, and `X-Answer`, which names its last word. It appends what it hears to
 * the file that its second argument names.
 */
export const OBEDIENT = `
import Milter, base64, json, sys

log = open(sys.argv[2], "a", buffering=1) if len(sys.argv) > 2 else None

def note(*what):
    if log:
        log.write(json.dumps(what) + "\\n")

class Obedient(Milter.Base):
    def connect(self, name, family, address):
        note("connect", name)
        return Milter.CONTINUE
    def hello(self, name):
        note("helo", name)
        return Milter.CONTINUE
    def envfrom(self, sender, *parameters):
        note("mail", sender, list(parameters), self.getsymval("{auth_authen}"))
        self.operations = []
        self.answer = "CONTINUE"
        self.size = 0
        return Milter.REJECT if "refused" in sender else Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        note("rcpt", recipient, list(parameters))
        if "refused" in recipient:
            self.setreply("550", "5.7.9", "We do not like you")
            return Milter.REJECT
        return Milter.TEMPFAIL if "later" in recipient else Milter.CONTINUE
    def header(self, name, value):
        note("header", name, value.encode("utf-8", "surrogateescape").decode("latin1"))
        if name == "X-Operations":
            self.operations = json.loads(base64.b64decode(value))
        if name == "X-Answer":
            self.answer = value.strip()
        return Milter.CONTINUE
    def eoh(self):
        return Milter.CONTINUE
    def body(self, piece):
        self.size += len(piece)
        return Milter.CONTINUE
    def eom(self):
        note("end", self.size, self.getsymval("i") is not None)
        for method, *arguments in self.operations:
            if method == "replacebody":
                arguments = [argument.encode("latin1") for argument in arguments]
            getattr(self, method)(*arguments)
        return getattr(Milter, self.answer)
    def abort(self):
        note("abort")
        return Milter.CONTINUE
    def close(self):
        note("close")
        return Milter.CONTINUE

Milter.factory = Obedient
Milter.set_flags(Milter.CHGBODY + Milter.CHGHDRS + Milter.ADDHDRS + Milter.ADDRCPT + Milter.DELRCPT + Milter.QUARANTINE
                 + Milter.CHGFROM + Milter.ADDRCPT_PAR)
Milter.runmilter("obedient", sys.argv[1], 30)
`;

/** Runs a Python program that is a milter; \`body\` gets its port. */
export async function withPythonMilter(
  program: string,
  log: string,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const port = freePort();
  const file = await Deno.makeTempFile({ suffix: ".py" });
  await Deno.writeTextFile(file, program);
  try {
    await withPeer(PYTHON, [file, `inet:${port}@127.0.0.1`, log], port, () => body(port));
  } finally {
    await Deno.remove(file);
  }
}

/** TOML of milters on loopback that are asked at every stage; and nothing that godwit adds by itself but Received. */
export function milterSettings(ports: readonly number[], more = ""): string {
  return `[session.data.add-headers]
auth-results = false
received-spf = false
message-id = false
date = false
${
    ports.map((port, index) =>
      `[session.milter.m${index}]
hostname = "127.0.0.1"
port = ${port}
stages = ["connect", "ehlo", "mail", "rcpt", "data"]
${more}`
    ).join("\n")
  }`;
}

/** A server that takes mail and relays it to a sink. */
export interface Relay {
  readonly port: number;
  readonly sunk: readonly SunkMessage[];
}

/** Runs godwit with milters before a sink. */
export async function withGodwitRelay(
  toml: string,
  body: (relay: Relay, server: TestServer) => Promise<void>,
  openRelay = true,
): Promise<void> {
  const { sunk, sink } = collectingSink();
  try {
    await withServer({ relayPort: sink.port, openRelay, toml }, async (server) => {
      await body({ port: server.ports.mx, sunk }, server);
    });
  } finally {
    sink.close();
  }
}

/** Runs Postfix with the same milters before a sink; `more` is added to its main.cf. */
export async function withPostfixRelay(
  ports: readonly number[],
  body: (relay: Relay) => Promise<void>,
  more = "",
): Promise<void> {
  const { sunk, sink } = collectingSink();
  const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  const port = freePort();
  const running = await postfix.start({ folder, port, nextHop: sink.port, httpPort: 0, deferAll: false });
  try {
    await Deno.writeTextFile(
      `${folder}/config/main.cf`,
      `smtpd_milters = ${ports.map((each) => `inet:127.0.0.1:${each}`).join(", ")}
milter_default_action = tempfail
local_header_rewrite_clients =
${more}`,
      { append: true },
    );
    // Not by a reload: the daemon that has answered already would go on without them.
    await running.stop();
    await withPeer("postfix", ["-c", `${folder}/config`, "start-fg"], port, async () => {
      await body({ port, sunk });
      await run("postfix", ["-c", `${folder}/config`, "stop"]);
    });
  } finally {
    await tryRun("postfix", ["-c", `${folder}/config`, "stop"]);
    await Deno.remove(folder, { recursive: true });
    sink.close();
  }
}

function collectingSink() {
  const sunk: SunkMessage[] = [];
  const sink = startSink({
    keepContent: true,
    onMessage: (message) => {
      sunk.push(message);
      return undefined;
    },
  });
  return { sunk, sink };
}

/** Sends a message in latin1; gives the reply to its end, or that which refused the envelope. */
export async function send(
  { port }: { readonly port: number },
  content: string,
  envelope: { readonly from?: string; readonly to?: readonly string[] } = {},
): Promise<string> {
  const { from = "ana@example.net", to = ["dave@elsewhere.example"] } = envelope;
  const dialogue = await openDialogue(port);
  try {
    return await converse(dialogue, from, to, content);
  } finally {
    dialogue.close();
  }
}

async function converse(dialogue: Dialogue, from: string, to: readonly string[], content: string): Promise<string> {
  for (const line of ["EHLO client.example", `MAIL FROM:<${from}>`, ...to.map((each) => `RCPT TO:<${each}>`), "DATA"]) {
    const reply = await dialogue.command(line);
    if (reply.code >= 400 && !line.startsWith("RCPT")) return `${reply.code} ${reply.text}`;
    if (reply.code >= 400 && to.length === 1) return `${reply.code} ${reply.text}`;
  }
  const stuffed = content.replace(/^\./gm, "..");
  const octets = Uint8Array.from(
    `${stuffed}${stuffed.endsWith("\n") ? "" : "\r\n"}.\r\n`,
    (char) => char.charCodeAt(0),
  );
  const reply = await dialogue.send(octets);
  return `${reply.code} ${reply.text}`;
}

/**
 * Waits for the message with this number in the field X-Number.
 *
 * @param mark what stands for the Received field that the server has put on top
 */
export async function relayed({ sunk }: Relay, number: number, mark = "") {
  const text = (content: Uint8Array) => new TextDecoder("latin1").decode(content);
  const message = await eventually(
    `message ${number} is relayed`,
    () => sunk.find(({ content }) => text(content).includes(`X-Number: ${number}\r\n`)),
  );
  return {
    sender: message.sender,
    recipients: [...message.recipients].sort(),
    content: text(message.content).replace(
      /^Received: from client\.example (?:.*\r\n)(?:[ \t].*\r\n)*/m,
      mark,
    ),
  };
}
