/** What the process costs, under the names that every Prometheus client gives them. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** Makes them in the registries; they are read at each scrape. */
export function createProcessMetrics(registers: Registry[]) {
  const startedAt = Math.round(Date.now() / 1000 - process.uptime());
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  let counted = 0;
  return {
    started: gauge('process_start_time_seconds', 'When the process was started.', () => startedAt),
    memory: gauge('process_resident_memory_bytes', 'Memory of the process.', () => process.memoryUsage.rss()),
    heap: gauge(
      'nodejs_heap_size_used_bytes',
      'Memory that JavaScript objects take.',
      () => process.memoryUsage().heapUsed,
    ),
    cpu: new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Time on a processor.',
      registers,
      collect() {
        const { user, system } = process.cpuUsage();
        const seconds = (user + system) / 1e6;
        this.inc(seconds - counted);
        counted = seconds;
      },
    }),
  };
}
