/** Which variables exist where, and of what type. */

import type { Context, Value } from "./types.ts";
import { nearestName } from "./nearest.ts";

/** Type of a variable. `ip` is canonical text of an IP address, `list` an array of texts. */
export type VariableType = "str" | "ip" | "int" | "bool" | "list";

/** Variables by name. */
export type VariableSet = Readonly<Record<string, VariableType>>;

const CONN: VariableSet = {
  listener: "str",
  protocol: "str",
  remote_ip: "ip",
  local_ip: "ip",
  remote_port: "int",
  local_port: "int",
  is_tls: "bool",
  asn: "int",
  country: "str",
};
const EHLO: VariableSet = { ...CONN, helo_domain: "str", authenticated_as: "str" };
const MAIL: VariableSet = { ...EHLO, sender: "str", sender_domain: "str", priority: "int" };
const RCPT: VariableSet = { ...MAIL, rcpt: "str", rcpt_domain: "str", recipients: "list" };
const QUEUE: VariableSet = {
  sender: "str",
  sender_domain: "str",
  priority: "int",
  rcpt: "str",
  rcpt_domain: "str",
  recipients: "list",
  source: "str",
  queue_name: "str",
  queue_age: "int",
  size: "int",
  retry_num: "int",
  notify_num: "int",
  last_error: "str",
  last_status: "int",
  received_from_ip: "ip",
  received_via_port: "int",
};

/** The variables of every context, those of the contexts it builds on included. */
export const VARIABLES: Readonly<Record<Context, VariableSet>> = {
  conn: CONN,
  ehlo: EHLO,
  mail: MAIL,
  rcpt: RCPT,
  data: RCPT,
  queue: QUEUE,
  host: { ...QUEUE, remote_ip: "ip", local_ip: "ip", mx: "str" },
  report: { rcpt_domain: "str" },
  http: { ...CONN, url: "str", url_path: "str", method: "str", headers: "list" },
};

/** Every variable of any context. */
export const ALL_VARIABLES: VariableSet = Object.assign({}, ...Object.values(VARIABLES));

/** What a variable that is not known yet reads as. */
export function emptyValue(type: VariableType): Value {
  switch (type) {
    case "int":
      return 0;
    case "bool":
      return false;
    case "list":
      return [];
    case "str":
    case "ip":
      return "";
  }
}

/** Finds the variable that `name` means, or undefined. Takes hyphens for underscores, and `ehlo_domain`. */
export function findVariable(name: string, variables: VariableSet): string | undefined {
  if (Object.hasOwn(variables, name)) return name;
  const underscored = name.replaceAll("-", "_");
  if (Object.hasOwn(variables, underscored)) return underscored;
  return underscored === "ehlo_domain" && Object.hasOwn(variables, "helo_domain") ? "helo_domain" : undefined;
}

/** Says why `name` is no variable here, and what it might have been meant to be. */
export function explainUnknown(name: string, variables: VariableSet, words: readonly string[]): string {
  const elsewhere = findVariable(name, ALL_VARIABLES);
  if (elsewhere !== undefined) {
    const contexts = Object.entries(VARIABLES).filter(([, set]) => Object.hasOwn(set, elsewhere)).map(([name]) => name);
    return `the variable '${elsewhere}' is not known at this stage, only in: ${contexts.join(", ")}`;
  }
  const nearest = nearestName(name, [...Object.keys(variables), ...words]);
  if (nearest !== undefined) return `unknown name '${name}'; did you mean '${nearest}'? Text is written in quotes`;
  const [left = "", ...rest] = name.split("-");
  if (rest.length > 0 && findVariable(left, variables) !== undefined) {
    return `unknown name '${name}'; a hyphen inside a name belongs to it, subtraction needs a blank: '${left} - ${
      rest.join("-")
    }'`;
  }
  const known = words.length > 0 && words.length <= 12 ? `; known here: ${words.join(", ")}` : "";
  return `unknown name '${name}'${known}; text is written in quotes: '${name}'`;
}
