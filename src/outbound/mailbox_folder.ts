/** Mailboxes and flags as the Maildir format has them (Maildir++, as Courier and Dovecot read it). */

/** Octets that the name of a folder may have; file systems take 255. */
const LONGEST = 250;

/**
 * The folder of a mailbox below the Maildir of the inbox: `Lists/Deno` and `Lists.Deno` are `.Lists.Deno`; `""` for the
 * inbox itself. Levels may also stand below INBOX, which changes nothing.
 *
 * @returns undefined if no folder can have the name
 */
export function folderOf(mailbox: string): string | undefined {
  const levels = mailbox.split(/[./]/);
  if (levels[0]?.toUpperCase() === "INBOX") levels.shift();
  if (levels.length === 0) return "";
  if (levels.some((level) => level === "" || /\p{Cc}/u.test(level))) return undefined;
  const folder = `.${levels.map(modifiedUtf7).join(".")}`;
  return folder.length > LONGEST ? undefined : folder;
}

/** RFC 3501 §5.1.3: names in ASCII, runs of other characters as Base64 of UTF-16. */
function modifiedUtf7(text: string): string {
  return text.replaceAll("&", "&-").replace(/[^ -~]+/g, (run) => {
    let octets = "";
    for (let i = 0; i < run.length; i++) {
      const unit = run.charCodeAt(i);
      octets += String.fromCharCode(unit >> 8, unit & 0xff);
    }
    return `&${btoa(octets).replace(/=+$/, "").replaceAll("/", ",")}-`;
  });
}

/** Letters by IMAP flag, in lower case. */
const LETTERS: ReadonlyMap<string, string> = new Map([
  ["\\draft", "D"],
  ["\\flagged", "F"],
  // RFC 5788 §3.4.2, which the Maildir format calls passed.
  ["$forwarded", "P"],
  ["\\answered", "R"],
  ["\\seen", "S"],
  ["\\deleted", "T"],
]);

/** The letters of IMAP flags in the order that the format wants; other keywords have none. */
export function flagLetters(flags: readonly string[]): string {
  return [...new Set(flags.flatMap((flag) => LETTERS.get(flag.toLowerCase()) ?? []))].sort().join("");
}
