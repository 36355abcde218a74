/** A bound for what must happen at once. */

/** Waits for `promise`; a test that would hang fails with `message` instead. */
export async function within<T>(promise: Promise<T>, message: () => string): Promise<T> {
  const guard = Promise.withResolvers<never>();
  const timer = setTimeout(() => guard.reject(new Error(message())), 20_000);
  try {
    return await Promise.race([promise, guard.promise]);
  } finally {
    clearTimeout(timer);
  }
}
