/** Hosts of MTA-STS policies: nginx as somebody else's, and our own listener as curl sees it. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { systemClock } from "../../src/clock/mod.ts";
import { createPolicyFetch } from "../../src/outbound/mod.ts";
import { StsFetchError } from "../../src/outbound/mta_sts_fetch.ts";
import { parsePolicy } from "../../src/outbound/mta_sts_record.ts";
import { makeCertificate, type TestCertificate } from "../support/certificates.ts";
import { createZone } from "../support/zone.ts";
import { withPeer } from "./peer.ts";
import { run, withServer } from "./server.ts";

const DAY = 86_400_000;
const root = await makeCertificate({ names: ["test root"], authority: true });
const POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 86400\r\n";
const LOCATION = "location = /.well-known/mta-sts.txt";

interface PolicyHost {
  /** The domain is `<name>.example`. */
  readonly name: string;
  /** What nginx does, inside its `server` block; `FOLDER` stands for that of the test. */
  readonly does: string;
  readonly certificate?: TestCertificate;
  /** The policy, or type and text of the error. */
  readonly becomes: "policy" | readonly [type: StsFetchError["type"], text: RegExp];
}

const signed = (names: readonly string[], more: { readonly notBefore?: Date; readonly notAfter?: Date } = {}) =>
  makeCertificate({ names, issuer: root, ...more });
const plain = `${LOCATION} { alias FOLDER/policy; }`;
const typed = (type: string) => `${LOCATION} { types { } default_type "${type}"; alias FOLDER/policy; }`;

const HOSTS: readonly PolicyHost[] = [
  { name: "good", does: plain, becomes: "policy" },
  { name: "charset", does: typed("text/plain; charset=utf-8"), becomes: "policy" },
  {
    name: "chunked",
    does: `${LOCATION} { alias FOLDER/policy; sub_filter x x; chunked_transfer_encoding on; }`,
    becomes: "policy",
  },
  { name: "gzipped", does: `gzip on; gzip_min_length 1; gzip_types text/plain; ${plain}`, becomes: "policy" },
  { name: "old", does: `ssl_protocols TLSv1.2; ${plain}`, becomes: "policy" },
  { name: "wildcard", does: plain, certificate: await signed(["*.wildcard.example"]), becomes: "policy" },
  {
    name: "expired",
    does: plain,
    certificate: await signed(["mta-sts.expired.example"], {
      notBefore: new Date(Date.now() - 9 * DAY),
      notAfter: new Date(Date.now() - DAY),
    }),
    becomes: ["sts-webpki-invalid", /does not verify/],
  },
  {
    name: "misnamed",
    does: plain,
    certificate: await signed(["www.misnamed.example"]),
    becomes: ["sts-webpki-invalid", /ERR_TLS_CERT_ALTNAME_INVALID/],
  },
  {
    name: "selfsigned",
    does: plain,
    certificate: await makeCertificate({ names: ["mta-sts.selfsigned.example"] }),
    becomes: ["sts-webpki-invalid", /does not verify/],
  },
  {
    name: "moved",
    does: `${LOCATION} { return 301 https://mta-sts.good.example$request_uri; }`,
    becomes: ["sts-policy-fetch-error", /status 301/],
  },
  { name: "missing", does: "root FOLDER/nowhere;", becomes: ["sts-policy-fetch-error", /status 404/] },
  { name: "failing", does: `${LOCATION} { return 503; }`, becomes: ["sts-policy-fetch-error", /status 503/] },
  { name: "binary", does: typed("application/octet-stream"), becomes: ["sts-policy-fetch-error", /octet-stream/] },
  { name: "page", does: typed("text/html"), becomes: ["sts-policy-fetch-error", /text\/html/] },
  {
    name: "large",
    does: `${LOCATION} { alias FOLDER/large; }`,
    becomes: ["sts-policy-fetch-error", /65536|64 KB|longer|larger|large/],
  },
  {
    name: "slow",
    does: `${LOCATION} { limit_rate 5; alias FOLDER/policy; }`,
    becomes: ["sts-policy-fetch-error", /within 1\.5 s/],
  },
];

/** Runs nginx with all hosts; `body` gets its port. */
async function withNginx(body: (port: number) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-nginx-" });
  const port = freePort();
  try {
    await Deno.writeTextFile(`${folder}/policy`, POLICY);
    await Deno.writeTextFile(`${folder}/large`, `${POLICY}${"x_filler: 0123456789\r\n".repeat(4000)}`);
    let servers = "";
    for (const { name, does, certificate } of HOSTS) {
      const host = `mta-sts.${name}.example`;
      const { cert, privateKey } = certificate ?? await signed([host]);
      await Deno.writeTextFile(`${folder}/${name}.pem`, cert);
      await Deno.writeTextFile(`${folder}/${name}.key`, privateKey);
      servers += `server {
  listen 127.0.0.1:${port} ssl;
  server_name ${host};
  ssl_certificate ${folder}/${name}.pem;
  ssl_certificate_key ${folder}/${name}.key;
  default_type text/plain;
  ${does.replaceAll("FOLDER", folder)}
}
`;
    }
    // The workers have to read what root has written.
    await Deno.chmod(folder, 0o755);
    await Deno.writeTextFile(
      `${folder}/nginx.conf`,
      `daemon off;
pid ${folder}/pid;
error_log ${folder}/error.log;
worker_processes 1;
events { worker_connections 64; }
http {
access_log off;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((one) => `${one}_temp_path ${folder}/${one};`).join("\n")}
${servers}}
`,
    );
    await withPeer("nginx", ["-c", `${folder}/nginx.conf`, "-p", folder], port, () => body(port));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("policies are taken from an nginx that serves them as RFC 8461 asks, and from no other", async () => {
  const zone = createZone({
    ...Object.fromEntries(HOSTS.map(({ name }) => [`mta-sts.${name}.example`, { a: ["127.0.0.1"] }])),
    "mta-sts.down.example": { a: ["127.0.9.9"] },
  });
  await withNginx(async (port) => {
    const fetch = createPolicyFetch({ resolver: zone, clock: systemClock, port, ca: [root.cert] });
    const down: PolicyHost = { name: "down", does: "", becomes: ["sts-policy-fetch-error", /refused/i] };
    for (const { name, becomes } of [...HOSTS, down]) {
      let found: string | StsFetchError;
      try {
        found = await fetch(`${name}.example`, name === "slow" ? 1500 : 20_000, new AbortController().signal);
      } catch (error) {
        assert.ok(error instanceof StsFetchError, `${name}: ${error}`);
        found = error;
      }
      if (becomes === "policy") {
        assert.ok(typeof found === "string", `${name}: ${found}`);
        assert.equal(parsePolicy(found).mode, "enforce", name);
      } else {
        assert.ok(found instanceof StsFetchError, `${name} was taken`);
        assert.equal(found.type, becomes[0], name);
        assert.match(found.message, becomes[1], name);
      }
    }
  });
});

Deno.test("curl fetches our own policy by HTTPS under the name of a local domain, and under no other", async () => {
  const port = freePort();
  const own = await signed(["mta-sts.example.net", "mta-sts.example.org"]);
  const toml = `[server.listener.policy]
bind = "127.0.0.1:${port}"
protocol = "http"
tls.implicit = true
[certificate.policy]
cert = """${own.cert}"""
private-key = """${own.privateKey}"""
default = true
[session.mta-sts]
mode = "enforce"
max-age = "14d"
mx = ["mx.example.net", "*.backup.example.net"]
`;
  await withServer({ toml }, async () => {
    const roots = await Deno.makeTempFile({ suffix: ".pem" });
    await Deno.writeTextFile(roots, root.cert);
    const get = (host: string, ...more: readonly string[]) =>
      run("curl", [
        ...["--silent", "--show-error", "--cacert", roots, "--resolve", `${host}:${port}:127.0.0.1`],
        ...["--write-out", "\n%{http_code} %{content_type} %{num_redirects} %{ssl_verify_result}", ...more],
        `https://${host}:${port}/.well-known/mta-sts.txt`,
      ]);
    const expected = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmx: *.backup.example.net\r\n" +
      "max_age: 1209600\r\n";
    for (const version of ["--tlsv1.2", "--tlsv1.3"]) {
      const answer = await get("mta-sts.example.net", version, "--tls-max", version.slice(-3));
      assert.equal(answer, `${expected}\n200 text/plain; charset=utf-8 0 0`, version);
    }
    // Nobody here takes mail for this domain.
    assert.match(await get("mta-sts.example.org"), /\n404 /);
    await Deno.remove(roots);
  });
});
