/** The parts of the configuration that are about directories. */

export interface Principal {
  readonly name: string;
  readonly class: "individual" | "admin" | "group";
  readonly description: string | undefined;
  readonly secret: readonly string[];
  readonly email: readonly string[];
  readonly emailList: readonly string[];
  readonly memberOf: readonly string[];
}

/** What cached answers of a directory may take and how long they live; times in milliseconds. */
export interface DirectoryCacheConfig {
  /** Octets; 0: no cache. */
  readonly size: number;
  readonly positive: number;
  readonly negative: number;
}

/** Connections that a directory keeps; times in milliseconds. */
export interface DirectoryPoolConfig {
  readonly maxConnections: number;
  readonly create: number;
  readonly wait: number;
  readonly recycle: number;
}

interface DirectoryBase {
  readonly id: string;
  /** `lookup.domains`, in lower case. */
  readonly domains: readonly string[];
}

export interface MemoryDirectoryConfig extends DirectoryBase {
  readonly type: "memory";
  readonly principals: readonly Principal[];
}

export interface SqlDirectoryConfig extends DirectoryBase {
  readonly type: "sql";
  readonly cache: DirectoryCacheConfig;
  readonly store: string;
  /** Statements of the store that are for directories, by the name of their key. */
  readonly queries: {
    readonly name: string;
    readonly recipients: string;
    readonly emails: string | undefined;
    readonly secrets: string | undefined;
    readonly domains: string | undefined;
  };
  readonly columns: {
    readonly name: string;
    readonly class: string;
    readonly description: string;
    readonly secret: string;
    readonly email: string;
  };
}

export interface LdapDirectoryConfig extends DirectoryBase {
  readonly type: "ldap";
  readonly cache: DirectoryCacheConfig;
  readonly pool: DirectoryPoolConfig;
  readonly url: string;
  readonly baseDn: string;
  /** Milliseconds for one operation. */
  readonly timeout: number;
  readonly tls: { readonly enable: boolean; readonly allowInvalidCerts: boolean };
  /** The account that searches; undefined: anonymous. */
  readonly bind: { readonly dn: string; readonly secret: string } | undefined;
  readonly auth:
    | { readonly method: "default" }
    | { readonly method: "lookup" }
    /** `search`: the entry is read over the user's own connection. */
    | { readonly method: "template"; readonly template: string; readonly search: boolean };
  readonly filter: { readonly name: string; readonly email: string; readonly domains: string | undefined };
  readonly attributes: {
    readonly name: readonly string[];
    readonly class: readonly string[];
    readonly description: readonly string[];
    readonly secret: readonly string[];
    readonly email: readonly string[];
    readonly emailAlias: readonly string[];
    readonly groups: readonly string[];
  };
}

export interface RemoteDirectoryConfig extends DirectoryBase {
  readonly type: "smtp" | "lmtp" | "imap";
  readonly cache: DirectoryCacheConfig;
  readonly pool: DirectoryPoolConfig;
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly implicit: boolean; readonly allowInvalidCerts: boolean };
  readonly limits: { readonly rcpt: number; readonly authErrors: number };
}

export interface OidcDirectoryConfig extends DirectoryBase {
  readonly type: "oidc";
  readonly endpoint: { readonly url: string; readonly method: "userinfo" | "introspect" };
  /** Milliseconds for one call. */
  readonly timeout: number;
  readonly auth:
    | { readonly method: "none" | "user-token" }
    | { readonly method: "basic"; readonly username: string; readonly secret: string }
    | { readonly method: "token"; readonly token: string };
  /** Names of the fields of an answer. */
  readonly fields: { readonly email: string; readonly username: string; readonly fullName: string };
}

export type DirectoryConfig =
  | MemoryDirectoryConfig
  | SqlDirectoryConfig
  | LdapDirectoryConfig
  | RemoteDirectoryConfig
  | OidcDirectoryConfig;
