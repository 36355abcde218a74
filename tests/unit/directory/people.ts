/** Directories for the tests of this room. */

import type { MemoryDirectoryConfig, Principal } from "../../../src/config/config.ts";
import { createDirectory, type Directory } from "../../../src/directory/mod.ts";
import { createZone } from "../../support/zone.ts";
import { readSecret, verifyRead } from "../../../src/directory/password/secret.ts";

/** A principal with what is not given left empty. */
export function principal(given: Partial<Principal> & Pick<Principal, "name">): Principal {
  return {
    class: "individual",
    description: undefined,
    secret: [],
    email: [],
    emailList: [],
    memberOf: [],
    ...given,
  };
}

/** A directory of these principals, and what its passwords were checked against. */
export function directoryOf(
  principals: readonly Principal[],
  domains: readonly string[] = [],
): { readonly directory: Directory; readonly checked: string[] } {
  const checked: string[] = [];
  const config: MemoryDirectoryConfig = { id: "staff", type: "memory", domains, principals };
  const directory = createDirectory(config, {
    threadPool: 1,
    stores: new Map(),
    resolver: createZone({}),
    hostname: "mx.example.org",
    pool: {
      verify(secret, password) {
        checked.push(secret);
        return verifyRead(readSecret(secret), password);
      },
    },
  });
  return { directory, checked };
}
