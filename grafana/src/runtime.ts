import { Board, Variable } from './board';
import { lines, number, states } from './panel';
import { RUNTIME, family, max, min, quantile, rate, ratio, select, sum } from './query';

const RUNTIMES: Variable = {
  kind: 'label',
  name: 'runtime',
  label: 'Runtime',
  description: '"admin" answers scrapes and probes. The other runtimes forward the streams.',
  from: 'streamgauge_runtime_workers',
};
const UNSTABLE = 'Needs tokio_unstable';
const unstable = ' Needs a binary that was built with tokio_unstable, as the released ones are.';
// On a machine without a GPU, the collector of GPUs is on and reads nothing, which is no fault.
const collectors = `(${family('collector_up', 'collector!="gpu"')} or (${family('collector_up', 'collector="gpu"')} and max_over_time(${family('collector_up', 'collector="gpu"')}[$__range]) == 1))`;
const busy = sum(rate(family('runtime_worker_busy_seconds_total', RUNTIME)));

export const runtime: Board = {
  uid: 'streamgauge-runtime',
  title: 'Streamgauge / Runtime',
  description: 'Does the runtime that forwards the streams, or its machine, slow the sidecar down?',
  variables: [RUNTIMES],
  stats: [
    number({
      title: 'Scheduler lag, p99',
      description:
        'Delay with which the selected runtimes that forward streams wake, 99th percentile of the last minutes. Up to 1.1 ms is the resolution of the timer. Above 10 ms, the machine of the sidecar lacks CPU time.',
      unit: 's',
      // As on Overview. A late answer to a scrape harms no stream.
      expr: quantile(0.99, 'runtime_lag_seconds', [RUNTIME, 'runtime!="admin"']),
      limits: { look: 0.01, wrong: 0.1 },
      empty: 'Off or down',
    }),
    number({
      title: 'Worker utilization',
      description:
        'Time that workers spent in tasks, divided by the total time of the workers. Near 100 % the sidecar has too few cores.',
      unit: 'percentunit',
      decimals: 1,
      expr: ratio(busy, sum(family('runtime_workers', RUNTIME))),
      limits: { look: 0.7, wrong: 0.9 },
      empty: 'Off or down',
    }),
    number({
      title: 'Live tasks',
      description: 'Tasks that exist now: connections, probes, collectors.',
      unit: 'none',
      expr: sum(family('runtime_live_tasks', RUNTIME)),
      empty: 'Off or down',
    }),
    number({
      title: 'Tasks waiting for a worker',
      description: 'Tasks in the global queue now.',
      unit: 'none',
      expr: sum(family('runtime_global_queue_depth', RUNTIME)),
      empty: 'Off or down',
    }),
    number({
      title: 'CPU cores used',
      description: 'CPU cores that the sidecars use, in total.',
      unit: 'cores',
      decimals: 3,
      expr: sum(rate(select('process_cpu_seconds_total'))),
      empty: 'Off or down',
    }),
    number({
      title: 'Resident memory',
      description: 'Resident memory of all sidecars.',
      unit: 'bytes',
      expr: sum(select('process_resident_memory_bytes')),
      empty: 'Off or down',
    }),
    number({
      title: 'Open descriptors / limit',
      description: 'Open file descriptors divided by their limit, of the sidecar closest to its limit.',
      unit: 'percentunit',
      decimals: 1,
      expr: max(ratio(select('process_open_fds'), select('process_max_fds'))),
      limits: { look: 0.6, wrong: 0.8 },
      empty: 'Off or down',
    }),
    number({
      title: 'Collector state',
      description:
        '"All work" if every enabled collector works. The collector of GPUs counts if it has read a GPU in the selected time range.',
      unit: 'none',
      expr: min(collectors),
      mappings: { '0': ['One is down', 'red'], '1': ['All work', 'green'] },
      empty: 'Off or down',
    }),
  ],
  rows: [
    [
      'Is the scheduler late?',
      lines({
        title: 'Scheduler lag by runtime',
        description: 'Delay with which a probe on a fixed schedule woke. Streams have the same delay.',
        unit: 's',
        log: true,
        queries: [0.5, 0.99].map((q) => [
          `{{runtime}} p${q * 100}`,
          quantile(q, 'runtime_lag_seconds', [RUNTIME], 'runtime'),
        ]),
        empty: 'Off',
      }),
      lines({
        title: 'Task schedule latency',
        description: `Time from the moment that a task is ready until a worker runs it.${unstable}`,
        unit: 's',
        log: true,
        queries: [0.5, 0.99].map((q) => [
          `{{runtime}} p${q * 100}`,
          quantile(q, 'runtime_schedule_latency_seconds', [RUNTIME], 'runtime'),
        ]),
        empty: UNSTABLE,
      }),
      lines({
        title: 'Task poll time',
        description:
          `Time for which one poll of a task occupies a worker. A long poll delays all tasks behind it.${unstable}`,
        unit: 's',
        log: true,
        queries: [0.5, 0.99].map((q) => [
          `{{runtime}} p${q * 100}`,
          quantile(q, 'runtime_poll_seconds', [RUNTIME], 'runtime'),
        ]),
        empty: UNSTABLE,
      }),
      lines({
        title: 'Forced yields and I/O events per second',
        description:
          `Tasks that used up their budget and were forced to yield, and readiness events of sockets, per second.${unstable}`,
        unit: 'ops',
        min: 0,
        queries: [
          ['{{runtime}} forced yields', sum(rate(family('runtime_forced_yields_total', RUNTIME)), 'runtime')],
          ['{{runtime}} I/O ready', sum(rate(family('runtime_io_ready_total', RUNTIME)), 'runtime')],
        ],
        empty: UNSTABLE,
      }),
    ],
    [
      'How busy are the workers, and how evenly?',
      lines({
        title: 'Utilization by worker',
        description:
          'Time that each worker spent in tasks, divided by its total time. If one worker is at 100 % and others are idle, it runs a blocking task.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [
          [
            '{{runtime}} {{worker}}',
            max(rate(family('runtime_worker_busy_seconds_total', RUNTIME)), 'runtime', 'worker'),
          ],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Worker parks and steals per second',
        description:
          'Parks: a worker without work goes to sleep. Steals: a worker takes tasks from another worker (only with tokio_unstable).',
        unit: 'ops',
        min: 0,
        queries: [
          ['{{runtime}} parks', sum(rate(family('runtime_worker_parks_total', RUNTIME)), 'runtime')],
          ['{{runtime}} steals', sum(rate(family('runtime_steals_total', RUNTIME)), 'runtime')],
        ],
        empty: 'Off',
      }),
    ],
    [
      'Does work pile up?',
      lines({
        title: 'Queued tasks',
        width: 8,
        description:
          'Tasks that wait for a worker: in the global queue, and in the local queues of the workers (only with tokio_unstable).',
        unit: 'none',
        min: 0,
        queries: [
          ['{{runtime}} global', sum(family('runtime_global_queue_depth', RUNTIME), 'runtime')],
          ['{{runtime}} local', sum(family('runtime_local_queue_depth', RUNTIME), 'runtime')],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Live tasks by runtime',
        width: 8,
        description:
          'Tasks that exist now. The number follows the connections. Growth without more connections is a leak.',
        unit: 'none',
        min: 0,
        queries: [['{{runtime}}', sum(family('runtime_live_tasks', RUNTIME), 'runtime')]],
        empty: 'Off',
      }),
      lines({
        title: 'Blocking pool threads and queue',
        width: 8,
        description: `Threads for blocking work, and work that waits for such a thread.${unstable}`,
        unit: 'none',
        min: 0,
        queries: [
          ['{{runtime}} threads', sum(family('runtime_blocking_threads', RUNTIME), 'runtime')],
          ['{{runtime}} waiting', sum(family('runtime_blocking_queue_depth', RUNTIME), 'runtime')],
        ],
        empty: UNSTABLE,
      }),
      number({
        title: 'Worker threads',
        description: 'Worker threads of all selected runtimes.',
        unit: 'none',
        width: 12,
        expr: sum(family('runtime_workers', RUNTIME)),
        empty: 'Off',
      }),
      number({
        title: 'Unstable Tokio metrics',
        description: 'Whether the binary was built with tokio_unstable, which some panels here need.',
        unit: 'none',
        width: 12,
        expr: min(family('runtime_unstable_metrics')),
        mappings: { '0': ['Not built in', 'text'], '1': ['Built in', 'green'] },
        empty: 'Off',
      }),
    ],
    [
      'Which resources does the process use?',
      lines({
        title: 'CPU cores used by sidecar',
        description: 'CPU cores in use, by sidecar.',
        unit: 'cores',
        decimals: 3,
        min: 0,
        queries: [['{{instance}}', sum(rate(select('process_cpu_seconds_total')), 'instance')]],
        empty: 'Off',
      }),
      lines({
        title: 'Memory by sidecar',
        description:
          'Resident memory, and the part of it that holds request bodies read ahead. Memory grows with open streams, with data that shaping holds and with bodies that are read ahead.',
        unit: 'bytes',
        min: 0,
        queries: [
          ['{{instance}}', sum(select('process_resident_memory_bytes'), 'instance')],
          ['{{instance}} read ahead', sum(family('read_ahead_bytes'), 'instance')],
          ['{{instance}} read ahead of slow clients', sum(family('response_read_ahead_bytes'), 'instance')],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Descriptors and threads by sidecar',
        description: 'Open file descriptors and threads by sidecar, and the lowest limit of descriptors. A stream takes two descriptors.',
        unit: 'none',
        log: true,
        queries: [
          ['{{instance}} open', sum(select('process_open_fds'), 'instance')],
          ['{{instance}} threads', sum(select('process_threads'), 'instance')],
          ['lowest limit of descriptors', min(select('process_max_fds'))],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Uptime by sidecar',
        description: 'Time since the process started. A drop means a restart.',
        unit: 's',
        min: 0,
        queries: [['{{instance}}', `time() - ${max(select('process_start_time_seconds'), 'instance')}`]],
        empty: 'Off',
      }),
    ],
    [
      'Do the collectors work?',
      states({
        title: 'State of each collector',
        description:
          'Whether a collector can read its source, at all selected sidecars. Disabled collectors do not appear, nor does the collector of GPUs if it has read no GPU in the selected time range.',
        unit: 'none',
        off: ['cannot read', 'red'],
        on: ['reads', 'green'],
        queries: [
          [
            '{{collector}}',
            `${min(family('collector_up'), 'collector')} unless on (collector) (${max(`max_over_time(${family('collector_up', 'collector="gpu"')}[$__range] @ end())`, 'collector')} == 0)`,
          ],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Duration of the last collection',
        description:
          'Duration of the last round of each collector. Collectors run neither inside a scrape nor on a worker.',
        unit: 's',
        log: true,
        queries: [['{{collector}}', max(family('collector_seconds'), 'collector')]],
        empty: 'Off',
      }),
    ],
  ],
  details: [
    [
      'Do the traces arrive?',
      lines({
        title: 'Spans by what became of them',
        width: 8,
        description: 'Spans of sampled requests, per minute: exported, or dropped by reason.',
        unit: '/min',
        min: 0,
        queries: [
          ['exported', `60 * ${sum(rate(family('trace_spans_exported_total')))}`],
          ['{{reason}}', `60 * ${sum(rate(family('trace_spans_dropped_total')), 'reason')}`],
        ],
        empty: 'Not traced',
      }),
      lines({
        title: 'Spans that wait for their export',
        width: 8,
        description: 'Spans of sampled requests that the sidecar has not exported yet, by sidecar.',
        unit: 'none',
        min: 0,
        queries: [['{{instance}}', sum(family('trace_spans_queued'), 'instance')]],
        empty: 'Not traced',
      }),
      lines({
        title: 'Failed exports of spans',
        width: 8,
        description: 'Requests to the endpoint of traces that failed, per minute by reason.',
        unit: '/min',
        min: 0,
        shades: 'red',
        queries: [['{{reason}}', `60 * ${sum(rate(family('trace_export_failures_total')), 'reason')}`]],
        empty: 'Not traced',
      }),
    ],
    [
      'Is live traffic recorded?',
      lines({
        title: 'Recorded generations per minute',
        description:
          'Generations of clients, per minute by whether they were written to the recording of live traffic, chunks that are missing in it, and parts that were removed because the folder was full.',
        unit: '/min',
        min: 0,
        queries: [
          ['{{result}}', `60 * ${sum(rate(family('recording_streams_total')), 'result')}`],
          ['missing chunks', `60 * ${sum(rate(family('recording_chunks_dropped_total')))}`],
          ['removed parts', `60 * ${sum(rate(family('recording_parts_removed_total')))}`],
        ],
      }),
      lines({
        title: 'Size of the recording',
        description: 'Bytes of the recordings of live traffic in the folder.',
        unit: 'bytes',
        min: 0,
        queries: [['recording', sum(family('recording_bytes'))]],
      }),
    ],
    [
      'Which tasks take the time?',
      lines({
        title: 'Mean poll time by kind of task',
        description: 'Mean time of one poll. Tasks of the kind "connection" carry the streams.',
        unit: 's',
        min: 0,
        queries: [
          [
            '{{task}}',
            ratio(
              sum(rate(family('task_poll_seconds_total')), 'task'),
              sum(rate(family('task_polls_total')), 'task'),
            ),
          ],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Wait for a worker by kind of task',
        description: 'Mean time in which a task was ready but did not run, for each poll.',
        unit: 's',
        min: 0,
        queries: [
          [
            '{{task}}',
            ratio(
              sum(rate(family('task_scheduled_seconds_total')), 'task'),
              sum(rate(family('task_polls_total')), 'task'),
            ),
          ],
        ],
        empty: 'Off',
      }),
    ],
  ],
};
