/** Python scripts that use its `smtplib`, a client that shows every reply. */

import { run } from "./server.ts";

/**
 * Runs a script with the named values as variables, and `connect(port)` for a session after EHLO, with TLS if `ca` is
 * among them; gives what it printed.
 *
 * @throws {Error} if the script fails
 */
export async function smtplib(script: string, values: Readonly<Record<string, string | number>>): Promise<string> {
  const assignments = Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join("\n");
  return await run("python3", [
    "-c",
    `import base64, smtplib, ssl
${assignments}
def connect(port):
  smtp = smtplib.SMTP("localhost", port, timeout=20)
  if "ca" in globals():
    smtp.starttls(context=ssl.create_default_context(cafile=ca))
  smtp.ehlo("client.example")
  return smtp
def show(reply):
  print(reply[0], reply[1].decode().replace("\\n", " / "))
${script}`,
  ]);
}
