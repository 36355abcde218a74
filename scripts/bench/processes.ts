/** What a program with all its child processes uses, as Linux's /proc tells it. */

// Linux reports process times in ticks; the kernel interface fixes them at a hundredth of a second.
const TICKS_PER_SECOND = 100;

/** Process times and memory of a tree of processes. */
export interface Usage {
  /** Seconds of CPU time, user and system, dead children included. */
  readonly cpuSeconds: number;
  /** Proportional set size in bytes: pages shared by several processes are counted once. */
  readonly memory: number;
}

/** The process with all that descend from it. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of Deno.readDirSync("/proc")) {
    const pid = Number(entry.name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[1]);
    children.set(parent, [...children.get(parent) ?? [], pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...children.get(pid) ?? []);
  return tree;
}

/** CPU time and memory of the process with all that descend from it. */
export function usage(root: number): Usage {
  let ticks = 0;
  let memory = 0;
  for (const pid of processTree(root)) {
    const fields = statFields(pid);
    if (fields === undefined) continue;
    // utime, stime, and the same of the children that were waited for: fields 14 to 17 of proc(5).
    ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    memory += proportionalSetSize(pid);
  }
  return { cpuSeconds: ticks / TICKS_PER_SECOND, memory };
}

/** Resident set size of one process in bytes, 0 if it is gone. */
export function residentSize(pid: number): number {
  return kilobytesAfter("VmRSS:", readOrEmpty(`/proc/${pid}/status`));
}

/** Samples the memory of a process tree until stopped; gives the largest value seen. */
export function watchMemory(root: number, everyMs: number): { stop(): number } {
  let peak = usage(root).memory;
  const timer = setInterval(() => peak = Math.max(peak, usage(root).memory), everyMs);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(peak, usage(root).memory);
    },
  };
}

/** Fields of /proc/PID/stat after the name, so the state comes first and the parent second. */
function statFields(pid: number): string[] | undefined {
  const text = readOrEmpty(`/proc/${pid}/stat`);
  // The name stands in parentheses and may hold blanks and parentheses itself.
  return text === "" ? undefined : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function proportionalSetSize(pid: number): number {
  return kilobytesAfter("Pss:", readOrEmpty(`/proc/${pid}/smaps_rollup`)) || residentSize(pid);
}

function kilobytesAfter(label: string, text: string): number {
  const at = text.indexOf(label);
  return at < 0 ? 0 : 1024 * parseInt(text.slice(at + label.length).trimStart());
}

/** The text of a file, empty if it is gone: processes end while they are looked at. */
function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
