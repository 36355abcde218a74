/** Keys of `session`: its stages, milters and hooks. */

import {
  bool,
  choice,
  durationIn,
  filled,
  headerLine,
  hostPattern,
  int,
  listOf,
  port,
  size,
  someOf,
  span,
  text,
  url,
} from "../value_type.ts";
import { AUTHENTICATED, MX, SUBMIT, textConstant, when } from "./condition.ts";
import {
  asBool,
  asBoolOrText,
  asCount,
  asDuration,
  asIdOrFalse,
  asLine,
  asLineOrFalse,
  asRoom,
  asSmtpSpanOrFalse,
  asTextOrFalse,
  asTimeLimit,
  asWord,
  asWordOrFalse,
  asWords,
} from "./setting_shape.ts";
import { computed, key, optional, required, setting } from "./spec.ts";

/** The default directory as a constant, or `false` if there is none. */
const defaultDirectory = computed((from) => {
  const id = from.source("storage.directory");
  return typeof id === "string" && from.names("directory").includes(id) ? textConstant(id) : false;
});

const script = {
  conn: setting("conn", asIdOrFalse("script"), false),
  ehlo: setting("ehlo", asIdOrFalse("script"), false),
  mail: setting("mail", asIdOrFalse("script"), false),
  rcpt: setting("rcpt", asIdOrFalse("script"), false),
  data: setting("data", asIdOrFalse("script"), false),
};

const stages = someOf(choice("connect", "ehlo", "mail", "rcpt", "data"));

export const sessionKeys = {
  "session.timeout": setting("ehlo", asTimeLimit, "5m"),
  "session.duration": setting("ehlo", asTimeLimit, "10m"),
  "session.transfer-limit": setting("ehlo", asRoom, 262144000),
  "session.connect.hostname": setting("conn", asLine, "config_get('server.hostname')"),
  "session.connect.greeting": setting("conn", asLine, "'ESMTP godwit'"),
  "session.connect.script": script.conn,
  "session.ehlo.require": setting("ehlo", asBool, true),
  "session.ehlo.reject-non-fqdn": setting("ehlo", asBool, MX),
  "session.ehlo.script": script.ehlo,
  "session.extensions.pipelining": setting("ehlo", asBool, true),
  "session.extensions.chunking": setting("ehlo", asBool, true),
  "session.extensions.requiretls": setting("ehlo", asBool, true),
  "session.extensions.no-soliciting": setting("ehlo", asLineOrFalse, false),
  "session.extensions.dsn": setting("ehlo", asBool, AUTHENTICATED),
  "session.extensions.future-release": setting("ehlo", asSmtpSpanOrFalse, when(AUTHENTICATED, "7d", false)),
  "session.extensions.deliver-by": setting("ehlo", asSmtpSpanOrFalse, when(AUTHENTICATED, "15d", false)),
  "session.extensions.mt-priority": setting(
    "ehlo",
    asWordOrFalse("mixer", "stanag4406", "nsep"),
    when(AUTHENTICATED, "'mixer'", false),
  ),
  "session.extensions.vrfy": setting("ehlo", asBool, false),
  "session.extensions.expn": setting("ehlo", asBool, false),
  "session.auth.mechanisms": setting(
    "ehlo",
    asWords("plain", "login", "cram-md5", "scram-sha-256", "oauthbearer", "xoauth2"),
    when(`${SUBMIT} && is_tls`, ["plain", "login"], false),
  ),
  "session.auth.directory": setting("ehlo", asIdOrFalse("directory"), defaultDirectory),
  "session.auth.require": setting("ehlo", asBool, SUBMIT),
  "session.auth.must-match-sender": setting("ehlo", asBool, true),
  "session.auth.allow-plain-text": setting("ehlo", asBool, false),
  "session.auth.errors.total": setting("ehlo", asCount, 3),
  "session.auth.errors.wait": setting("ehlo", asDuration, "5s"),
  "session.mail.rewrite": setting("mail", asTextOrFalse, false),
  "session.mail.is-allowed": setting("mail", asBool, true),
  "session.mail.script": script.mail,
  "session.rcpt.directory": setting("rcpt", asIdOrFalse("directory"), defaultDirectory),
  "session.rcpt.relay": setting("rcpt", asBool, AUTHENTICATED),
  "session.rcpt.sub-addressing": setting("rcpt", asBoolOrText, true),
  "session.rcpt.catch-all": setting("rcpt", asBoolOrText, true),
  "session.rcpt.rewrite": setting("rcpt", asTextOrFalse, false),
  "session.rcpt.script": script.rcpt,
  "session.rcpt.max-recipients": setting("rcpt", asCount, 100),
  "session.rcpt.errors.total": setting("rcpt", asCount, 5),
  "session.rcpt.errors.wait": setting("rcpt", asDuration, "5s"),
  "session.data.script": script.data,
  "session.data.spam-filter": setting("data", asBool, false),
  "session.data.bare-newline": setting("data", asWord("refuse", "normalize"), "'refuse'"),
  "session.data.limits.messages": setting("data", asCount, 10),
  "session.data.limits.size": setting("data", asRoom, 104857600),
  "session.data.limits.received-headers": setting("data", asCount, 50),
  "session.data.add-headers.received": setting("data", asBool, true),
  "session.data.add-headers.received-spf": setting("data", asBool, MX),
  "session.data.add-headers.auth-results": setting("data", asBool, MX),
  "session.data.add-headers.message-id": setting("data", asBool, SUBMIT),
  "session.data.add-headers.date": setting("data", asBool, SUBMIT),
  "session.data.add-headers.return-path": setting("data", asBool, false),
  "session.data.add-headers.delivered-to": key(bool, true),
  "session.mta-sts.mode": key(choice("enforce", "testing", "none"), "testing"),
  "session.mta-sts.max-age": key(durationIn(1000), "7d"),
  "session.mta-sts.mx": optional(listOf(hostPattern)),
};

export const milterKeys = {
  "session.milter.<id>.enable": setting("data", asBool, true),
  "session.milter.<id>.hostname": required(filled),
  "session.milter.<id>.port": optional(port),
  "session.milter.<id>.stages": key(stages, ["data"]),
  "session.milter.<id>.tls": key(bool, false),
  "session.milter.<id>.allow-invalid-certs": key(bool, false),
  "session.milter.<id>.timeout.connect": key(span, "30s"),
  "session.milter.<id>.timeout.command": key(span, "30s"),
  "session.milter.<id>.timeout.data": key(span, "60s"),
  "session.milter.<id>.options.tempfail-on-error": key(bool, true),
  "session.milter.<id>.options.max-response-size": key(size, 52428800),
  "session.milter.<id>.options.version": key(int(2, 6), 6),
  "session.milter.<id>.options.flags.actions": key(int(0, 0xffffffff), 0xff),
  "session.milter.<id>.options.flags.protocol": key(int(0, 0xffffffff), 0x42),
};

export const hookKeys = {
  "session.hook.<id>.enable": setting("data", asBool, true),
  "session.hook.<id>.url": required(url("http", "https")),
  "session.hook.<id>.stages": key(stages, ["data"]),
  "session.hook.<id>.timeout": key(span, "30s"),
  "session.hook.<id>.allow-invalid-certs": key(bool, false),
  "session.hook.<id>.headers": key(listOf(headerLine), []),
  "session.hook.<id>.auth.username": optional(text),
  "session.hook.<id>.auth.secret": optional(text),
  "session.hook.<id>.options.tempfail-on-error": key(bool, true),
  "session.hook.<id>.options.max-response-size": key(size, 52428800),
};
