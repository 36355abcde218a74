/** Clients from any address: the server believes what a PROXY header says (loopback addresses are never banned). */

import { type Client, connectClient } from "./client.ts";

/** Configuration that makes every listener expect a PROXY header. */
export const PROXIED = 'server.proxy.trusted-networks = ["127.0.0.0/8"]\n';

/** Connects as a client from `ip`; `early` is sent at once, before the greeting. */
export async function connectFrom(
  ip: string,
  address: { hostname: string; port: number },
  early = "",
): Promise<Client> {
  const client = await connectClient(address);
  const family = ip.includes(":") ? "TCP6" : "TCP4";
  await client.write(`PROXY ${family} ${ip} ${ip} 40000 25\r\n${early}`);
  return client;
}
