/**
 * Waits until `check` returns without throwing, and returns what it returned.
 * @throws what the last check threw, once the time is over.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
