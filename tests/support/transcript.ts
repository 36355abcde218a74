/**
 * Replays a scripted dialogue against a server and compares what the server says.
 *
 * A script is text, one step a line:
 *
 * | line         | step                                                                             |
 * | ------------ | -------------------------------------------------------------------------------- |
 * | `S: TEXT`    | the server's next line must be TEXT; `...` in it stands for any text              |
 * | `S: *`       | skips lines of a reply up to and including its last one                           |
 * | `S! TEXT`    | no line of the reply that has just been read may start with TEXT                  |
 * | `C: TEXT`    | sends TEXT and CRLF                                                               |
 * | `C" JSON`    | sends the bytes of a JSON string as they are (code points are octets)             |
 * | `C* N TEXT`  | sends TEXT N times, without line end                                              |
 * | `TLS`        | starts TLS as the client                                                          |
 * | `END`        | the server must close the connection now                                          |
 * | `# ...`      | a remark                                                                          |
 */

import assert from "node:assert/strict";

/** Replays `script`; fails with the whole dialogue so far when the server says something else. */
export async function replay(
  script: string,
  address: { hostname: string; port: number },
  options: { readonly trust?: readonly string[] } = {},
): Promise<void> {
  let conn: Deno.Conn = await Deno.connect(address);
  const heard: string[] = [];
  let reply: string[] = [];
  let pending: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  const buffer = new Uint8Array(65536);

  const nextLine = async (): Promise<string | undefined> => {
    while (true) {
      const end = pending.indexOf(10);
      if (end >= 0) {
        const line = new TextDecoder().decode(pending.subarray(0, end));
        pending = pending.slice(end + 1);
        heard.push(`S: ${line.replace(/\r$/, "")}`);
        assert.ok(line.endsWith("\r"), `line without CR from the server\n${heard.join("\n")}`);
        return line.slice(0, -1);
      }
      const count = await conn.read(buffer).catch(() => null);
      if (count === null) return undefined;
      const joined = new Uint8Array(pending.length + count);
      joined.set(pending);
      joined.set(buffer.subarray(0, count), pending.length);
      pending = joined;
    }
  };
  const replyLine = async (expected: string): Promise<string> => {
    const line = await nextLine();
    if (line === undefined) assert.fail(`the connection was closed, expected: ${expected}\n${heard.join("\n")}`);
    if (reply.length > 0 && reply.at(-1)?.[3] !== "-") reply = [];
    reply.push(line);
    return line;
  };
  const send = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };

  try {
    for (const step of script.split("\n")) {
      if (step.trim() === "" || step.startsWith("#")) continue;
      if (step !== "END" && !step.startsWith("S")) heard.push(step.slice(0, 200));
      if (step === "TLS") {
        conn = await Deno.startTls(conn as Deno.TcpConn, {
          hostname: "mx.example.org",
          caCerts: [...options.trust ?? []],
        });
      } else if (step === "S: *") {
        while ((await replyLine("the rest of a reply"))[3] === "-");
      } else if (step.startsWith("S: ")) {
        const expected = step.slice(3);
        const line = await replyLine(expected);
        const pattern = expected.split("...").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*");
        assert.match(line, new RegExp(`^${pattern}$`), `expected: ${expected}\n${heard.join("\n")}`);
      } else if (step.startsWith("S! ")) {
        const unwanted = step.slice(3);
        assert.ok(!reply.some((line) => line.startsWith(unwanted)), `not expected: ${unwanted}\n${heard.join("\n")}`);
      } else if (step.startsWith('C" ')) {
        const text = JSON.parse(step.slice(3)) as string;
        await send(Uint8Array.from(text, (char) => char.charCodeAt(0)));
      } else if (step.startsWith("C* ")) {
        const [count, ...words] = step.slice(3).split(" ");
        await send(new TextEncoder().encode(words.join(" ").repeat(Number(count))));
      } else if (step.startsWith("C:")) {
        await send(new TextEncoder().encode(step.slice(3) + "\r\n"));
      } else if (step === "END") {
        const line = await nextLine();
        assert.equal(line, undefined, `the connection should be closed\n${heard.join("\n")}`);
      } else {
        assert.fail(`unknown step: ${step}`);
      }
    }
  } finally {
    conn.close();
  }
}
