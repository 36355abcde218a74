/** The same scripts and messages in godwit and in Dovecot's `sieve-test`: they have to want the same. */

import assert from "node:assert/strict";
import { sieveCommand } from "../../src/cli/sieve.ts";

interface Case {
  readonly name: string;
  readonly script: string;
  readonly message?: string;
}

const MESSAGE = `Return-Path: <ann@example.org>
Received: from a.example.org (a.example.org [192.0.2.1])
	by mx.example.net with ESMTP id 1; Sat, 02 Mar 2024 14:05:06 +0100
Received: from b.example.org by a.example.org; Sat, 02 Mar 2024 12:00:00 +0000
From: "Author, Ann" <ann+work@Example.ORG>
To: bob@example.net, team: "Carol" <carol@example.com>, dan@example.net;
Cc: <eve@sub.example.com>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the [sea] *today*
Date: Sat, 02 Mar 2024 23:30:00 -0500
Message-ID: <1@example.org>
X-Score: 042
X-Empty:
X-Multi: one
X-Multi: two
X-Multi: three
X-Dates: none
X-Dates: Sat, 02 Mar 2024 23:30:00 -0500
X-Spam: Yes, score=7.5
List-Id: <list.example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain; charset=utf-8

Hello World, grüße.
--b
Content-Type: text/html

<p>Some <b>marked</b> &amp; text</p>
--b
Content-Type: application/pdf; name="offer.pdf"
Content-Disposition: attachment; filename="offer.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--b
Content-Type: message/rfc822

From: frank@example.org
Subject: inner

Deep down.
--b--
`;

/** A test that files the message into `yes` or `no`. */
function decides(name: string, require: readonly string[], test: string, message?: string): Case {
  const script = `require ${JSON.stringify(["fileinto", ...require])};\n` +
    `if ${test} { fileinto "yes"; } else { fileinto "no"; }\n`;
  return { name, script, ...(message === undefined ? {} : { message }) };
}

const NUMERIC = ["relational", "comparator-i;ascii-numeric"];
const LOOP = ["foreverypart", "mime", "variables"];

const CASES: readonly Case[] = [
  { name: "an empty script", script: "" },
  { name: "discard, then keep", script: "discard; keep;" },
  { name: "stop in a block", script: 'require "fileinto"; if true { fileinto "a"; stop; } discard;' },
  { name: "the same folder twice", script: 'require "fileinto"; fileinto "a"; fileinto "a"; keep; keep;' },
  {
    name: "copies leave the keep",
    script: 'require ["fileinto", "copy"]; fileinto :copy "a"; redirect :copy "z@x.org";',
  },
  { name: "redirect takes it away", script: 'redirect "zoe@example.org"; redirect "zoe@example.org";' },
  { name: "reject", script: 'require "reject"; reject "Not here.";' },
  { name: "a script with an error while it runs", script: 'require ["reject", "fileinto"]; fileinto "a"; reject "x";' },
  decides("header in any case", [], 'header "x-score" "042"'),
  decides("header :contains decodes words", [], 'header :contains "subject" "grüße"'),
  decides("quoted wildcards", [], 'header :matches "subject" "*\\\\[sea] \\\\*today\\\\*"'),
  decides("an empty field is there", [], 'header :is "x-empty" ""'),
  decides("a missing field matches nothing", [], 'header :matches "x-none" "*"'),
  decides("exists wants all", [], 'exists ["x-empty", "x-none"]'),
  decides("i;octet minds case", [], 'header :comparator "i;octet" :contains "from" "ANN"'),
  decides("numbers", NUMERIC, 'header :value "ge" :comparator "i;ascii-numeric" "x-score" "42"'),
  decides("a text is no number", NUMERIC, 'header :value "lt" :comparator "i;ascii-numeric" "x-multi" "5"'),
  decides("count of fields", NUMERIC, 'header :count "eq" :comparator "i;ascii-numeric" "x-multi" "3"'),
  decides("count of addresses", NUMERIC, 'address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] "4"'),
  decides("address :domain", [], 'address :domain "from" "example.org"'),
  decides("members of groups", [], 'address :localpart "to" "dan"'),
  decides("subaddress", ["subaddress"], 'address :detail "from" "work"'),
  decides("no detail", ["subaddress"], 'address :detail "cc" ""'),
  decides("envelope", ["envelope"], 'envelope :localpart "from" "ann"'),
  decides("size", [], "size :over 1K"),
  decides("nested tests", [], 'allof (not false, anyof (false, header :is "x-multi" "two"), not exists "x-none")'),
  decides("body :text reads HTML", ["body"], 'body :text :contains "marked"'),
  decides("body :raw sees boundaries", ["body"], 'body :raw :contains "--b--"'),
  decides("body :content decodes", ["body"], 'body :content "application/pdf" :contains "%PDF"'),
  decides("body :content message", ["body"], 'body :content "message" :contains "inner"'),
  decides("date in its zone", ["date"], 'date :originalzone "date" "hour" "23"'),
  decides("date in another zone", ["date"], 'date :zone "+0000" "date" "date" "2024-03-03"'),
  decides("date of a Received field", ["date", "index"], 'date :zone "+0100" :index 2 "received" "time" "13:00:00"'),
  decides("weekday", ["date"], 'date :originalzone "date" "weekday" "6"'),
  decides("julian day", ["date"], 'date :zone "-0500" "date" "julian" "60371"'),
  decides("index from the end", ["index"], 'header :index 1 :last "x-multi" "three"'),
  decides("fields of two names are one row", ["index"], 'header :index 4 ["x-multi", "x-score"] "042"'),
  decides("the last of two names", ["index"], 'header :index 1 :last ["x-multi", "x-score"] "042"'),
  decides("the first date only", ["date"], 'date "x-multi" "year" "2024"'),
  decides("no date in the first field", ["date"], 'date :originalzone "x-dates" "year" "2024"'),
  decides("UTC is Z", ["date"], 'date :zone "+0000" "date" "iso8601" "2024-03-03T04:30:00Z"'),
  decides("a question mark is an octet", [], 'header :matches "subject" "Gr????e*"'),
  decides("a disposition", ["mime"], 'header :mime :anychild :type "content-disposition" "attachment"'),
  decides("a disposition has no subtype", ["mime"], 'header :mime :anychild :subtype "content-disposition" ""'),
  decides("no type of other fields", ["mime"], 'header :mime :anychild :type "subject" ""'),
  decides(
    "count of types",
    ["mime", ...NUMERIC],
    'header :mime :anychild :count "eq" :comparator "i;ascii-numeric" :type "content-type" "5"',
  ),
  decides("an unknown item of the environment", ["environment"], 'environment :contains "vnd.none" ""'),
  decides("a match in a negated test", ["variables"], 'not header :matches "subject" "x*"'),
  decides("a notification method", ["enotify"], 'valid_notify_method ["mailto:a@example.org", "tel:+123"]'),
  decides("what mail can tell", ["enotify"], 'notify_method_capability "mailto:a@example.org" "online" "maybe"'),
  decides("hasflag without case", ["imap4flags"], 'hasflag "\\\\Seen"'),
  decides("regular expressions", ["regex"], 'header :regex "x-spam" "score=[0-9]+\\\\.5$"'),
  decides(
    "a parameter of a part",
    ["mime"],
    'header :mime :anychild :param "filename" "content-disposition" "offer.pdf"',
  ),
  decides("types of parts", ["mime"], 'header :mime :anychild :contenttype "content-type" "text/html"'),
  decides("capabilities", ["ihave"], 'ihave ["fileinto", "no-such-thing"]'),
  {
    name: "match values",
    script: `require ["fileinto", "variables"];
      if header :matches "subject" "* from the [*]*" { fileinto "\${2}-\${3}"; }`,
  },
  {
    name: "modifiers",
    script: `require ["fileinto", "variables"];
      set :upperfirst :lower "a" "ABC"; set :length "b" "grüße"; set :quotewildcard "c" "a*b"; fileinto "\${a}-\${b}-\${c}";`,
  },
  {
    name: "modifiers leave other letters alone",
    script: `require ["fileinto", "variables"];
      set :upper "a" "größe"; set :lowerfirst "b" "Über"; set :length "c" "\${a}"; fileinto "\${a}-\${b}-\${c}";`,
  },
  {
    name: "encoded characters",
    script: 'require ["fileinto", "encoded-character"]; fileinto "a${hex:4a}${hex:400}${unicode:e4}${hex: 6B 4c}";',
  },
  {
    name: "what a loop extracts",
    script: `require ${JSON.stringify(["fileinto", "extracttext", ...LOOP])};
      set "t" "";
      foreverypart { extracttext :length "n"; set "t" "\${t}.\${n}"; }
      fileinto "\${t}";`,
    message: `Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

five5
--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

gr=FCn
--b--
`,
  },
  {
    name: "the subject of a notification",
    script: 'require "enotify"; notify :message "ours" "mailto:zoe@example.org?subject=theirs";',
  },
  {
    name: "flags win that were said last",
    script: 'require ["fileinto", "imap4flags"]; fileinto :flags "A" "a"; fileinto :flags "B" "a";',
  },
  {
    name: "duplicate, seen for the first time",
    script: 'require ["fileinto", "duplicate"]; if duplicate { fileinto "again"; } else { fileinto "first"; }',
  },
  {
    name: "groups of a regular expression",
    script: `require ["fileinto", "variables", "regex"];
      if header :regex "x-spam" "(Yes|No), score=([0-9]+)" { fileinto "\${1}\${2}"; }`,
  },
  {
    name: "flags",
    script: `require ["fileinto", "imap4flags"];
      setflag ["\\\\Seen", "A B"]; addflag "C"; removeflag "B"; fileinto "a"; fileinto :flags "D" "b"; keep;`,
  },
  {
    name: "flags in variables",
    script: `require ["fileinto", "imap4flags", "variables"];
      addflag "f" ["\\\\Flagged", "X"]; if hasflag "f" "x" { fileinto :flags "\${f}" "a"; }`,
  },
  {
    name: "a loop over the parts",
    script: `require ${JSON.stringify(["fileinto", ...LOOP])};
      set "t" "";
      foreverypart { if header :mime :matches :subtype "content-type" "*" { set "t" "\${t}.\${1}"; } }
      fileinto "p\${t}";`,
  },
  {
    name: "a loop with a break",
    script: `require ${JSON.stringify(["fileinto", "extracttext", ...LOOP])};
      foreverypart {
        if header :mime :type "content-type" "text" { extracttext :first 5 :lower "t"; break; }
      }
      fileinto "\${t}";`,
  },
  {
    name: "edited fields are seen by tests",
    script: `require ["fileinto", "editheader"];
      addheader "X-New" "1"; deleteheader :index 2 "x-multi";
      if allof (header "x-new" "1", not header "x-multi" "two") { fileinto "edited"; }`,
  },
  { name: "created folders", script: 'require ["fileinto", "mailbox"]; fileinto :create "new";' },
  {
    name: "vacation to a person",
    script: 'require "vacation"; vacation :days 3 :subject "Away" "Back soon.";',
    message: "From: ann@example.org\nTo: bob@example.net\nSubject: Hi\n\nHello\n",
  },
  {
    name: "notify",
    script: 'require "enotify"; notify :importance "1" :message "Ring" "mailto:zoe@example.org?cc=yan@example.org";',
  },
  { name: "an error by intent", script: 'require ["ihave", "fileinto"]; fileinto "a"; error "stop here";' },
];

/** What was wanted, one line for each action. */
type Wanted = readonly string[];

async function askDovecot(folder: string): Promise<Wanted> {
  const { stdout: octets, code } = await new Deno.Command("sieve-test", {
    args: [
      ...["-c", `${folder}/dovecot.conf`, "-f", "ann@example.org"],
      ...["-a", "bob@example.net", "-r", "bob@example.net", `${folder}/script.sieve`, `${folder}/m.eml`],
    ],
    env: { HOME: folder, USER: "nobody" },
    stderr: "null",
  }).output();
  const stdout = new TextDecoder().decode(octets);
  const wanted: string[] = [];
  let flags: string | undefined;
  const close = () => {
    if (flags !== undefined) wanted.push(`${wanted.pop()} ${flags}`);
    flags = undefined;
  };
  // 1: the script ran into an error, and the message is kept. Anything else is a script that Dovecot does not take.
  if (code === 1) return ["keep"];
  assert.equal(code, 0);
  for (const line of stdout.replace(/START MESSAGE[^]*?END MESSAGE/g, "").split("\n")) {
    const [, action] = /^ \* (.*)$/.exec(line) ?? [];
    // What is remembered is no action here.
    if (action !== undefined && !action.startsWith("track ")) {
      close();
      const [, mailbox] = /^store message in folder: (.*)$/.exec(action) ?? [];
      const [, address] = /^redirect message to: <(.*)>$/.exec(action) ?? [];
      const [, reason] = /^reject message with reason: (.*)$/.exec(action) ?? [];
      if (mailbox !== undefined) wanted.push(mailbox === "INBOX" ? "keep" : `fileinto ${mailbox}`);
      else if (address !== undefined) wanted.push(`redirect ${address}`);
      else if (reason !== undefined) wanted.push(`reject ${reason}`);
      else wanted.push(/^send (vacation|notification)/.exec(action)?.[1]?.replace("notification", "notify") ?? action);
    }
    const [, set] = /\+ add IMAP flags: (.*)$/.exec(line) ?? [];
    if (set !== undefined) flags = set.toLowerCase().split(" ").sort().join(" ");
    const [, recipient] = /^ +\+ (?:To|Cc): (.*)$/.exec(line) ?? [];
    if (recipient !== undefined) flags = [...flags?.split(" ") ?? [], recipient].join(" ");
  }
  close();
  return wanted.sort();
}

async function askGodwit(folder: string): Promise<Wanted> {
  const printed: string[] = [];
  const output = {
    print: (line: string) => void printed.push(line),
    error: (line: string) => void printed.push(line),
    write: () => Promise.resolve(),
    colours: false,
  };
  const command = sieveCommand(output, (action) => action.then(() => {}));
  await command.parseAsync([
    ...["run", `${folder}/script.sieve`, "--message", `${folder}/m.eml`, "--json"],
    ...["--envelope", "from=ann@example.org", "--envelope", "to=bob@example.net"],
  ], { from: "user" });
  const { actions, implicitKeep } = JSON.parse(printed.join("\n"));
  return [...actions, ...implicitKeep === null ? [] : [implicitKeep]].flatMap((action) => {
    const flags = action.flags === undefined || action.flags.length === 0
      ? ""
      : ` ${action.flags.map((flag: string) => flag.toLowerCase()).sort().join(" ")}`;
    switch (action.kind) {
      case "store":
        return [`fileinto ${action.mailbox}${flags}`];
      case "redirect":
        return [`redirect ${action.address}`];
      case "reject":
        return [`reject ${action.text}`];
      case "vacation":
        return action.mail === undefined ? [] : ["vacation"];
      case "notify":
        return [`notify ${action.mail.to.join(" ")}`];
      default:
        return [action.kind + flags];
    }
  }).sort();
}

Deno.test("godwit and Dovecot want the same for the same scripts and messages", async (context) => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-sieve-" });
  try {
    await Deno.writeTextFile(
      `${folder}/dovecot.conf`,
      `protocols =
base_dir = ${folder}/run
log_path = /dev/stderr
ssl = no
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
mail_location = maildir:${folder}/mail
plugin {
  sieve_extensions = +editheader
}
`,
    );
    // sieve-test becomes somebody else, and writes compiled scripts beside them.
    await Deno.chmod(folder, 0o777);
    for (const each of CASES) {
      await context.step(each.name, async () => {
        await Deno.writeTextFile(`${folder}/script.sieve`, each.script);
        await Deno.writeTextFile(`${folder}/m.eml`, each.message ?? MESSAGE);
        assert.deepEqual(await askGodwit(folder), await askDovecot(folder));
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
