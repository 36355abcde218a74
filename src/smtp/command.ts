/** SMTP and LMTP commands (RFC 5321 §4.1, RFC 2033, RFC 3030, RFC 4954). */

import { parsePath } from "./path.ts";
import { type Reply, reply } from "./reply.ts";

/** One parameter of MAIL or RCPT as written; `keyword` in upper case. */
export interface EsmtpParameter {
  readonly keyword: string;
  readonly value: string | undefined;
}

/** A command of the client. `nonAscii`: its text needs SMTPUTF8. */
export type Command =
  | { readonly verb: "EHLO" | "HELO" | "LHLO"; readonly domain: string }
  | {
    readonly verb: "MAIL" | "RCPT";
    /** Normalised address, `""` for `<>` (MAIL only), `postmaster` for the bare name (RCPT only). */
    readonly path: string;
    readonly parameters: readonly EsmtpParameter[];
    readonly nonAscii: boolean;
  }
  | { readonly verb: "BDAT"; readonly size: number; readonly last: boolean }
  | {
    readonly verb: "AUTH";
    /** In upper case. */
    readonly mechanism: string;
    /** As written (base64, or `=` for an empty one); undefined if there is none. */
    readonly initial: string | undefined;
  }
  | { readonly verb: "VRFY" | "EXPN" | "HELP" | "NOOP"; readonly argument: string; readonly nonAscii: boolean }
  | { readonly verb: "DATA" | "RSET" | "QUIT" | "STARTTLS" };

/**
 * A command, or what to answer instead; `verb` is the first word in upper case where it looks like one, else `""`.
 * `unknown`: there is no such command.
 */
export type CommandResult =
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "error"; readonly reply: Reply; readonly verb: string; readonly unknown?: true };

const NO_PARAMETERS: readonly EsmtpParameter[] = [];
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads one command line, given without its CRLF. Never throws. */
export function parseCommand(line: Uint8Array): CommandResult {
  const decoded = decodeLine(line);
  if (typeof decoded !== "string") return decoded;
  const text = decoded;
  const space = text.indexOf(" ");
  const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase();
  const argument = space < 0 ? "" : text.slice(space + 1).trimStart();
  switch (verb) {
    case "EHLO":
    case "HELO":
    case "LHLO":
      return parseHello(verb, argument);
    case "MAIL":
      return parseMailOrRcpt("MAIL", "FROM:", argument);
    case "RCPT":
      return parseMailOrRcpt("RCPT", "TO:", argument);
    case "BDAT":
      return parseBdat(argument);
    case "AUTH":
      return parseAuth(argument);
    case "VRFY":
    case "EXPN":
      return argument === ""
        ? syntaxError(verb, `Syntax: ${verb} name`)
        : { kind: "command", command: { verb, argument, nonAscii: hasNonAscii(argument) } };
    case "HELP":
    case "NOOP":
      return { kind: "command", command: { verb, argument, nonAscii: hasNonAscii(argument) } };
    case "DATA":
    case "RSET":
    case "QUIT":
    case "STARTTLS":
      return argument === "" ? { kind: "command", command: { verb } } : syntaxError(verb, `${verb} takes no argument`);
    case "":
      return { kind: "error", reply: reply(500, "5.5.2", "Command expected"), verb: "" };
    default:
      return {
        kind: "error",
        reply: reply(500, "5.5.1", "Command not recognized"),
        verb: presentable(verb),
        unknown: true,
      };
  }
}

// RFC 5321 §4.1.1: trailing white space is tolerated.
function decodeLine(line: Uint8Array): string | CommandResult {
  let end = line.length;
  while (end > 0 && (line[end - 1] === 0x20 || line[end - 1] === 0x09)) end--;
  let bits = 0;
  let text = "";
  for (let i = 0; i < end; i++) {
    const octet = line[i] as number;
    if (octet < 0x20 || octet === 0x7f) return unreadable(line, "Control characters are not allowed in commands");
    bits |= octet;
    text += String.fromCharCode(octet);
  }
  // For a short ASCII line the decoder costs several times as much as this loop.
  if (bits < 0x80) return text;
  try {
    text = utf8.decode(line.subarray(0, end));
  } catch {
    return unreadable(line, "Command is not valid UTF-8");
  }
  // Those of Latin-1 are control characters too.
  return /\p{Cc}/u.test(text) ? unreadable(line, "Control characters are not allowed in commands") : text;
}

function unreadable(line: Uint8Array, text: string): CommandResult {
  return { kind: "error", reply: reply(500, "5.5.2", text), verb: verbOf(line) };
}

function parseHello(verb: "EHLO" | "HELO" | "LHLO", argument: string): CommandResult {
  if (argument === "" || argument.length > 255 || argument.includes(" ") || hasNonAscii(argument)) {
    return syntaxError(verb, `Syntax: ${verb} hostname`);
  }
  return { kind: "command", command: { verb, domain: argument } };
}

function parseMailOrRcpt(verb: "MAIL" | "RCPT", keyword: "FROM:" | "TO:", argument: string): CommandResult {
  const found = argument.slice(0, keyword.length).toUpperCase();
  if (found !== keyword) return syntaxError(verb, `Syntax: ${verb} ${keyword}<address>`);
  // RFC 5321 §3.3 allows no blank before "<"; many clients send one.
  let start = keyword.length;
  while (argument[start] === " ") start++;
  const path = parsePath(argument, start, verb === "MAIL" ? "reverse" : "forward");
  if (path.kind === "error") {
    const [enhanced, role] = verb === "MAIL" ? ["5.1.7", "sender"] : ["5.1.3", "recipient"];
    return { kind: "error", reply: reply(501, enhanced, `Bad ${role} address: ${path.problem}`), verb };
  }
  const parameters = splitParameters(argument, path.end);
  if (parameters === undefined) return syntaxError(verb, "Malformed parameters");
  return {
    kind: "command",
    command: { verb, path: path.path, parameters, nonAscii: hasNonAscii(argument) },
  };
}

// RFC 5321 §4.1.2 esmtp-param, RFC 6531 §3.3: a value holds no "=".
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u00a0-\uffff]+))?$/;

function splitParameters(text: string, start: number): readonly EsmtpParameter[] | undefined {
  if (start === text.length) return NO_PARAMETERS;
  if (text[start] !== " ") return undefined;
  const parameters: EsmtpParameter[] = [];
  for (const word of text.slice(start).split(" ")) {
    if (word === "") continue;
    const match = PARAMETER.exec(word);
    if (match === null) return undefined;
    const [, keyword = "", value] = match;
    parameters.push({ keyword: keyword.toUpperCase(), value });
  }
  return parameters;
}

function parseBdat(argument: string): CommandResult {
  const match = /^([0-9]{1,20})(?: +(LAST))?$/i.exec(argument);
  const size = Number(match?.[1]);
  if (match === null || !Number.isSafeInteger(size)) return syntaxError("BDAT", "Syntax: BDAT octets [LAST]");
  return { kind: "command", command: { verb: "BDAT", size, last: match[2] !== undefined } };
}

function parseAuth(argument: string): CommandResult {
  const match = /^([A-Za-z0-9_-]{1,20})(?: +([!-~]+))?$/.exec(argument);
  if (match === null) return syntaxError("AUTH", "Syntax: AUTH mechanism [initial-response]");
  return { kind: "command", command: { verb: "AUTH", mechanism: (match[1] ?? "").toUpperCase(), initial: match[2] } };
}

function syntaxError(verb: string, text: string): CommandResult {
  return { kind: "error", reply: reply(501, "5.5.4", text), verb };
}

function hasNonAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return true;
  return false;
}

function verbOf(line: Uint8Array): string {
  let word = "";
  for (const octet of line.subarray(0, 16)) {
    if (octet <= 0x20 || octet > 0x7e) break;
    word += String.fromCharCode(octet);
  }
  return presentable(word.toUpperCase());
}

function presentable(verb: string): string {
  return /^[A-Z]{1,16}$/.test(verb) ? verb : "";
}
