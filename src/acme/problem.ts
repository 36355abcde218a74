/** What goes wrong between this server and an authority. */

/** A problem document (RFC 7807, RFC 8555 §6.7), as far as it could be read. */
export interface Problem {
  /** Such as `urn:ietf:params:acme:error:rateLimited`. */
  readonly type: string;
  readonly detail: string;
  readonly status: number | undefined;
  /** Name that it is about, where it is about one. */
  readonly identifier: string | undefined;
  readonly subproblems: readonly Problem[];
}

/** An order that cannot go on for now. */
export class AcmeError extends Error {
  override readonly name = "AcmeError";
  /** What the authority said. */
  readonly problem: Problem | undefined;
  /** Nothing is to be tried before (milliseconds since the epoch): the authority asked for it. */
  readonly notBefore: number | undefined;
  /** `authorization`: a name could not be proved; `network`: the authority cannot be reached. */
  readonly kind: "authorization" | "network" | "refused" | "other";

  constructor(
    message: string,
    options: ErrorOptions & {
      readonly kind?: AcmeError["kind"];
      readonly problem?: Problem | undefined;
      readonly notBefore?: number | undefined;
    } = {},
  ) {
    super(message, options);
    this.problem = options.problem;
    this.notBefore = options.notBefore;
    this.kind = options.kind ?? "other";
  }
}

const PREFIX = "urn:ietf:params:acme:error:";

/** Subproblems that are read, and how deep; more is nobody's use. */
const MOST_SUBPROBLEMS = 100;

/** Reads a problem document; what it lacks is filled with words that say so. */
export function readProblem(document: unknown, depth = 0): Problem {
  const fields = isRecord(document) ? document : {};
  const identifier = isRecord(fields["identifier"]) ? fields["identifier"]["value"] : undefined;
  const list = Array.isArray(fields["subproblems"]) && depth === 0 ? fields["subproblems"] : [];
  return {
    type: typeof fields["type"] === "string" ? fields["type"] : "about:blank",
    detail: typeof fields["detail"] === "string" ? fields["detail"] : "",
    status: typeof fields["status"] === "number" ? fields["status"] : undefined,
    identifier: typeof identifier === "string" ? identifier : undefined,
    subproblems: list.slice(0, MOST_SUBPROBLEMS).map((one) => readProblem(one, depth + 1)),
  };
}

/** The kind of a problem without its namespace, such as `badNonce`. */
export function problemName({ type }: Problem): string {
  return type.startsWith(PREFIX) ? type.slice(PREFIX.length) : type;
}

/** A whole problem in one line: kind, words, and the same of each subproblem with its name. */
export function problemText(problem: Problem): string {
  const own = `${problemName(problem)}: ${problem.detail === "" ? "no details" : problem.detail}`;
  const parts = problem.subproblems.map((one) => `${one.identifier ?? "?"}: ${problemText(one)}`);
  return parts.length === 0 ? own : `${own} (${parts.join("; ")})`;
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
