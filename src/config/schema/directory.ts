/** Keys of `directory`. */

import {
  address,
  bool,
  choice,
  domain,
  dur,
  filled,
  int,
  line,
  listOf,
  port,
  size,
  span,
  text,
  url,
} from "../value_type.ts";
import { computed, type Id, key, only, optional, required } from "./spec.ts";

const MEMORY = ["memory"];
const SQL = ["sql"];
const LDAP = ["ldap"];
const SERVERS = ["smtp", "lmtp", "imap"];
const POOLED = ["ldap", ...SERVERS];
const OIDC = ["oidc"];

/** Usual port of a server, in plain text and with TLS from the first byte. */
const PORTS: Readonly<Record<string, readonly [number, number]>> = {
  smtp: [25, 465],
  lmtp: [24, 24],
  imap: [143, 993],
};

export const directoryKeys = {
  "directory.<id>.type": required(choice("memory", "sql", "ldap", "smtp", "lmtp", "imap", "oidc", "internal")),
  "directory.<id>.lookup.domains": key(listOf(domain), []),
  "directory.<id>.cache.size": key(size, 1048576),
  "directory.<id>.cache.ttl.positive": key(dur, "1h"),
  "directory.<id>.cache.ttl.negative": key(dur, "10m"),
  "directory.<id>.principals[].name": only(MEMORY, required(filled)),
  "directory.<id>.principals[].class": only(MEMORY, key(choice("individual", "admin", "group"), "individual")),
  "directory.<id>.principals[].description": only(MEMORY, optional(line)),
  "directory.<id>.principals[].secret": only(MEMORY, key(listOf(filled), [])),
  "directory.<id>.principals[].email": only(MEMORY, key(listOf(address), [])),
  "directory.<id>.principals[].email-list": only(MEMORY, key(listOf(address), [])),
  "directory.<id>.principals[].member-of": only(MEMORY, key(listOf(filled), [])),
  "directory.<id>.principals[].quota": only(MEMORY, optional(size)),
  "directory.<id>.pool.max-connections": only(POOLED, key(int(1, 10_000), 10)),
  "directory.<id>.pool.timeout.create": only(POOLED, key(span, "30s")),
  "directory.<id>.pool.timeout.wait": only(POOLED, key(span, "30s")),
  "directory.<id>.pool.timeout.recycle": only(POOLED, key(span, "30s")),
  "directory.<id>.store": only(SQL, required(filled)),
  "directory.<id>.columns.name": only(SQL, key(filled, "name")),
  "directory.<id>.columns.class": only(SQL, key(filled, "type")),
  "directory.<id>.columns.description": only(SQL, key(filled, "description")),
  "directory.<id>.columns.secret": only(SQL, key(filled, "secret")),
  "directory.<id>.columns.email": only(SQL, key(filled, "email")),
  "directory.<id>.columns.quota": only(SQL, key(filled, "quota")),
  "directory.<id>.url": only(LDAP, required(url("ldap", "ldaps"))),
  "directory.<id>.base-dn": only(LDAP, required(filled)),
  "directory.<id>.timeout": only(
    [...LDAP, ...OIDC],
    key(span, computed((from, ids) => from.source("directory.<id>.type", ...ids) === "oidc" ? "15s" : "30s")),
  ),
  "directory.<id>.tls.enable": only(LDAP, key(bool, false)),
  "directory.<id>.tls.allow-invalid-certs": only(POOLED, key(bool, false)),
  "directory.<id>.tls.implicit": only(SERVERS, key(bool, false)),
  "directory.<id>.bind.dn": only(LDAP, optional(filled)),
  "directory.<id>.bind.secret": only(LDAP, optional(text)),
  "directory.<id>.bind.auth.method": only(LDAP, key(choice("default", "template", "lookup"), "default")),
  "directory.<id>.bind.auth.template": only(LDAP, optional(filled)),
  "directory.<id>.bind.auth.search": only(LDAP, key(bool, true)),
  "directory.<id>.filter.name": only(LDAP, required(filled)),
  "directory.<id>.filter.email": only(LDAP, required(filled)),
  "directory.<id>.filter.domains": only(LDAP, optional(filled)),
  "directory.<id>.attributes.name": only(LDAP, key(listOf(filled), "uid")),
  "directory.<id>.attributes.class": only(LDAP, key(listOf(filled), "objectClass")),
  "directory.<id>.attributes.description": only(LDAP, key(listOf(filled), "description")),
  "directory.<id>.attributes.secret": only(LDAP, key(listOf(filled), "userPassword")),
  "directory.<id>.attributes.secret-changed": only(LDAP, optional(listOf(filled))),
  "directory.<id>.attributes.email": only(LDAP, key(listOf(filled), "mail")),
  "directory.<id>.attributes.email-alias": only(LDAP, key(listOf(filled), "mailAlias")),
  "directory.<id>.attributes.groups": only(LDAP, key(listOf(filled), "memberOf")),
  "directory.<id>.attributes.quota": only(LDAP, optional(listOf(filled))),
  "directory.<id>.address": only(SERVERS, required(filled)),
  "directory.<id>.port": only(SERVERS, key(port, computed(serverPort))),
  "directory.<id>.limits.rcpt": only(SERVERS, key(int(1), 25)),
  "directory.<id>.limits.auth-errors": only(SERVERS, key(int(1), 3)),
  "directory.<id>.endpoint.url": only(OIDC, required(url("http", "https"))),
  "directory.<id>.endpoint.method": only(OIDC, required(choice("userinfo", "introspect"))),
  "directory.<id>.auth.method": only(OIDC, key(choice("none", "basic", "token", "user-token"), "none")),
  "directory.<id>.auth.username": only(OIDC, optional(filled)),
  "directory.<id>.auth.secret": only(OIDC, optional(text)),
  "directory.<id>.auth.token": only(OIDC, optional(text)),
  "directory.<id>.fields.email": only(OIDC, key(filled, "email")),
  "directory.<id>.fields.username": only(OIDC, key(filled, "preferred_username")),
  "directory.<id>.fields.full-name": only(OIDC, key(filled, "name")),
};

function serverPort(from: { source(pattern: string, ...ids: readonly Id[]): unknown }, ids: readonly Id[]): number {
  const ports = PORTS[String(from.source("directory.<id>.type", ...ids))] ?? [25, 465];
  return from.source("directory.<id>.tls.implicit", ...ids) === true ? ports[1] : ports[0];
}
