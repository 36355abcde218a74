/** `:copy` (RFC 3894). */

import type { Extension } from "../definition.ts";

export const copy: readonly Extension[] = [{
  capability: "copy",
  tags: [{
    to: ["fileinto", "redirect"],
    tag: {
      name: "copy",
      onAction: () => (_run, action) => {
        if (action.kind === "store" || action.kind === "redirect") action.copy = true;
      },
    },
  }],
}];
