/** Haraka with a worker per CPU and one plugin: relay everything to the next hop. It is installed outside the tree. */

import { cacheFolder } from "./cache.ts";
import { endProcess, findProgram, greetedBy, type MailServer, runs } from "./server.ts";

const VERSION = "3.3.4";

const PLUGIN = `"use strict";
exports.register = function () {
  this.register_hook("rcpt", "accept");
  this.register_hook("get_mx", "next_hop");
};
exports.accept = function (next, connection) {
  connection.relaying = true;
  next(OK);
};
exports.next_hop = function (next) {
  next(OK, { priority: 0, exchange: "127.0.0.1", port: NEXT_HOP });
};
`;

export const haraka: MailServer = {
  name: "Haraka",

  async missing() {
    if (await findProgram("node") === undefined) return "Haraka needs Node.js";
    return await install() === undefined ? "Haraka cannot be installed" : undefined;
  },

  async start({ folder, port, nextHop }) {
    const program = await install();
    if (program === undefined) throw new Error("Haraka cannot be installed");
    for (const name of ["config", "plugins", "queue"]) await Deno.mkdir(`${folder}/${name}`);
    const files: Readonly<Record<string, string>> = {
      "config/smtp.ini": `listen=127.0.0.1:${port}\nnodes=${navigator.hardwareConcurrency}\n`,
      "config/me": "haraka.bench.example\n",
      "config/plugins": "next_hop\n",
      "config/log.ini": "level=error\n",
      "config/outbound.ini": "concurrency_max=100\nenable_tls=false\nlocal_mx_ok=true\n",
      "plugins/next_hop.js": PLUGIN.replace("NEXT_HOP", String(nextHop)),
    };
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${path}`, text);
    // Haraka does not start a session without the sections of this file.
    await Deno.copyFile(program.replace("bin/haraka", "config/connection.ini"), `${folder}/config/connection.ini`);
    const child = new Deno.Command("node", {
      args: [program, "-c", folder],
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await greetedBy(child, port);
    return { pid: child.pid, stop: () => endProcess(child) };
  },
};

/** Path of Haraka's start script, after installing it if need be. */
async function install(): Promise<string | undefined> {
  const folder = `${cacheFolder()}/haraka-${VERSION}`;
  const script = `${folder}/node_modules/Haraka/bin/haraka`;
  if (await findProgram("npm") === undefined) return undefined;
  try {
    await Deno.stat(script);
    return script;
  } catch {
    await Deno.mkdir(folder, { recursive: true });
  }
  const args = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", `Haraka@${VERSION}`];
  return await runs("npm", args) ? script : undefined;
}
