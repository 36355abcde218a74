/** Builds `session.*`. */

import type { SessionConfig } from "../config.ts";
import type { BuildContext } from "./context.ts";

export function buildSession(context: BuildContext): SessionConfig {
  const { get } = context.reader;
  checkClassifier(context);
  return {
    timeout: get("session.timeout"),
    duration: get("session.duration"),
    transferLimit: get("session.transfer-limit"),
    connect: { hostname: get("session.connect.hostname"), greeting: get("session.connect.greeting") },
    ehlo: { require: get("session.ehlo.require"), rejectNonFqdn: get("session.ehlo.reject-non-fqdn") },
    extensions: {
      pipelining: get("session.extensions.pipelining"),
      chunking: get("session.extensions.chunking"),
      requiretls: get("session.extensions.requiretls"),
      noSoliciting: get("session.extensions.no-soliciting"),
      dsn: get("session.extensions.dsn"),
      futureRelease: get("session.extensions.future-release"),
      deliverBy: get("session.extensions.deliver-by"),
      mtPriority: get("session.extensions.mt-priority"),
      vrfy: get("session.extensions.vrfy"),
      expn: get("session.extensions.expn"),
    },
    auth: {
      mechanisms: get("session.auth.mechanisms"),
      directory: get("session.auth.directory"),
      require: get("session.auth.require"),
      mustMatchSender: get("session.auth.must-match-sender"),
      allowPlainText: get("session.auth.allow-plain-text"),
      errors: { total: get("session.auth.errors.total"), wait: get("session.auth.errors.wait") },
    },
    checks: {
      iprev: get("auth.iprev.verify"),
      spfEhlo: get("auth.spf.verify.ehlo"),
      spfMailFrom: get("auth.spf.verify.mail-from"),
      dkim: get("auth.dkim.verify"),
      dkimStrict: get("auth.dkim.strict"),
      arc: get("auth.arc.verify"),
      dmarc: get("auth.dmarc.verify"),
    },
    mail: { rewrite: get("session.mail.rewrite"), isAllowed: get("session.mail.is-allowed") },
    rcpt: {
      directory: get("session.rcpt.directory"),
      relay: get("session.rcpt.relay"),
      subAddressing: get("session.rcpt.sub-addressing"),
      catchAll: get("session.rcpt.catch-all"),
      rewrite: get("session.rcpt.rewrite"),
      maxRecipients: get("session.rcpt.max-recipients"),
      errors: { total: get("session.rcpt.errors.total"), wait: get("session.rcpt.errors.wait") },
    },
    data: {
      bareNewline: get("session.data.bare-newline"),
      limits: {
        messages: get("session.data.limits.messages"),
        size: get("session.data.limits.size"),
        receivedHeaders: get("session.data.limits.received-headers"),
      },
      addHeaders: {
        received: get("session.data.add-headers.received"),
        receivedSpf: get("session.data.add-headers.received-spf"),
        authResults: get("session.data.add-headers.auth-results"),
        messageId: get("session.data.add-headers.message-id"),
        date: get("session.data.add-headers.date"),
        returnPath: get("session.data.add-headers.return-path"),
        deliveredTo: get("session.data.add-headers.delivered-to"),
      },
    },
  };
}

function checkClassifier({ reader }: BuildContext): void {
  const key = "session.data.spam-filter";
  const setting = reader.get(key);
  const node = reader.node(key);
  if (node === undefined) return;
  const isOff = node.kind === "scalar" && (node.value === false || node.value === "false");
  if (isOff && setting.isConstant) return;
  reader.warning(key, [], "godwit has no classifier of its own, so this has no effect; use a milter or a hook");
}
