import { Board, Variable } from './board';
import { lines, number } from './panel';
import { RUNTIME, family, max, min, quantile, rate, ratio, select, sum } from './query';

const RUNTIMES: Variable = {
  kind: 'label',
  name: 'runtime',
  label: 'Runtime',
  description: '"admin" answers scrapes and probes; the others forward the streams.',
  from: 'streamgauge_runtime_workers',
};
const UNSTABLE = 'Needs tokio_unstable';
const unstable = ' Only where the binary was built with tokio_unstable, as ours is.';
const busy = sum(rate(family('runtime_worker_busy_seconds_total', RUNTIME)));

export const runtime: Board = {
  uid: 'streamgauge-runtime',
  title: 'Streamgauge / Runtime',
  description: 'Is it the runtime that forwards, or the machine it runs on?',
  variables: [RUNTIMES],
  stats: [
    number({
      title: 'Lag, p99',
      description: 'How late a timer of 10 ms woke: what the scheduler adds to everything. Milliseconds are the timer’s own.',
      unit: 's',
      expr: quantile(0.99, 'runtime_lag_seconds', [RUNTIME]),
      limits: { look: 0.005, wrong: 0.025 },
      empty: 'Off',
    }),
    number({
      title: 'Workers busy',
      description: 'Share of the workers’ time spent in tasks. Near 1 the sidecar has too few cores.',
      unit: 'percentunit',
      decimals: 1,
      expr: ratio(busy, sum(family('runtime_workers', RUNTIME))),
      limits: { look: 0.7, wrong: 0.9 },
      empty: 'Off',
    }),
    number({
      title: 'Tasks',
      description: 'Tasks alive now: connections, probes, collectors.',
      unit: 'none',
      expr: sum(family('runtime_live_tasks', RUNTIME)),
      empty: 'Off',
    }),
    number({
      title: 'Waiting for a worker',
      description: 'Tasks in the global queue now.',
      unit: 'none',
      expr: sum(family('runtime_global_queue_depth', RUNTIME)),
      empty: 'Off',
    }),
    number({
      title: 'CPU',
      description: 'Cores that the sidecars use.',
      unit: 'none',
      decimals: 3,
      expr: sum(rate(select('process_cpu_seconds_total'))),
      empty: 'Off',
    }),
    number({
      title: 'Memory',
      description: 'Resident memory of all sidecars.',
      unit: 'bytes',
      expr: sum(select('process_resident_memory_bytes')),
      empty: 'Off',
    }),
    number({
      title: 'Descriptors',
      description: 'Open descriptors by their limit, the sidecar nearest to it.',
      unit: 'percentunit',
      decimals: 1,
      expr: max(ratio(select('process_open_fds'), select('process_max_fds'))),
      limits: { look: 0.6, wrong: 0.8 },
      empty: 'Off',
    }),
    number({
      title: 'Collectors',
      description: 'Whether every collector that is on works.',
      unit: 'none',
      expr: min(family('collector_up')),
      mappings: { '0': ['One is down', 'red'], '1': ['All work', 'green'] },
      empty: 'Off',
    }),
  ],
  rows: [
    [
      'Is the scheduler late?',
      lines({
        title: 'Lag',
        description: 'How late a probe on an absolute schedule woke, by runtime. It feels what a stream feels.',
        unit: 's',
        log: true,
        queries: [0.5, 0.99].map((q) => [
          `{{runtime}} p${q * 100}`,
          quantile(q, 'runtime_lag_seconds', [RUNTIME], 'runtime'),
        ]),
        empty: 'Off',
      }),
      lines({
        title: 'Schedule latency',
        description: `From a task made ready to a worker taking it.${unstable}`,
        unit: 's',
        log: true,
        queries: [0.5, 0.99].map((q) => [
          `{{runtime}} p${q * 100}`,
          quantile(q, 'runtime_schedule_latency_seconds', [RUNTIME], 'runtime'),
        ]),
        empty: UNSTABLE,
      }),
      lines({
        title: 'Poll time',
        description: `How long one poll of a task keeps a worker. A long one delays all that wait behind it.${unstable}`,
        unit: 's',
        log: true,
        queries: [0.5, 0.99].map((q) => [
          `{{runtime}} p${q * 100}`,
          quantile(q, 'runtime_poll_seconds', [RUNTIME], 'runtime'),
        ]),
        empty: UNSTABLE,
      }),
      lines({
        title: 'Forced yields and I/O',
        description: `Tasks that used up their budget and were made to yield, and readiness events of sockets, a second.${unstable}`,
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
      'Are the workers busy, and evenly?',
      lines({
        title: 'Busy by worker',
        description: 'Share of each worker’s time spent in tasks. One at 100 % beside idle ones runs something that blocks.',
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
        title: 'Parks and steals',
        description:
          'A second: a worker went to sleep for want of work; a worker took tasks from another (steals only with tokio_unstable).',
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
        title: 'Queues',
        description: 'Tasks that wait for a worker: in the global queue, and in the workers’ own (with tokio_unstable).',
        unit: 'none',
        min: 0,
        queries: [
          ['{{runtime}} global', sum(family('runtime_global_queue_depth', RUNTIME), 'runtime')],
          ['{{runtime}} local', sum(family('runtime_local_queue_depth', RUNTIME), 'runtime')],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Tasks',
        description: 'Tasks alive, by runtime. It follows connections; growth without them is a leak.',
        unit: 'none',
        min: 0,
        queries: [['{{runtime}}', sum(family('runtime_live_tasks', RUNTIME), 'runtime')]],
        empty: 'Off',
      }),
      lines({
        title: 'Blocking pool',
        description: `Threads for blocking work, and work that waits for one.${unstable}`,
        unit: 'none',
        min: 0,
        queries: [
          ['{{runtime}} threads', sum(family('runtime_blocking_threads', RUNTIME), 'runtime')],
          ['{{runtime}} waiting', sum(family('runtime_blocking_queue_depth', RUNTIME), 'runtime')],
        ],
        empty: UNSTABLE,
      }),
      number({
        title: 'Workers',
        description: 'Threads that run tasks, of all runtimes chosen.',
        unit: 'none',
        width: 6,
        expr: sum(family('runtime_workers', RUNTIME)),
        empty: 'Off',
      }),
      number({
        title: 'Unstable metrics',
        description: 'Whether the binary was built with tokio_unstable, which some panels here need.',
        unit: 'none',
        width: 6,
        expr: min(family('runtime_unstable_metrics')),
        mappings: { '0': ['Not built in', 'text'], '1': ['Built in', 'green'] },
        empty: 'Off',
      }),
    ],
    [
      'What do the tasks do?',
      lines({
        title: 'Time of a poll, mean',
        description: 'Mean time of one poll by kind of task: "connection" carries the streams.',
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
        title: 'Wait for a poll',
        description: 'Seconds a second that tasks spent ready and not running, by kind, summed over tasks.',
        unit: 's',
        min: 0,
        queries: [['{{task}}', sum(rate(family('task_scheduled_seconds_total')), 'task')]],
        empty: 'Off',
      }),
    ],
    [
      'What does the process use?',
      lines({
        title: 'CPU',
        description: 'Cores in use, by sidecar.',
        unit: 'none',
        decimals: 3,
        min: 0,
        queries: [['{{instance}}', sum(rate(select('process_cpu_seconds_total')), 'instance')]],
        empty: 'Off',
      }),
      lines({
        title: 'Memory',
        description: 'Resident memory by sidecar, and what request bodies that were read ahead take of it. It follows the streams open, what shaping holds and what is read ahead.',
        unit: 'bytes',
        min: 0,
        queries: [
          ['{{instance}}', sum(select('process_resident_memory_bytes'), 'instance')],
          ['{{instance}} read ahead', sum(family('read_ahead_bytes'), 'instance')],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Descriptors and threads',
        description: 'Open descriptors beside their limit, and threads, by sidecar. A stream takes two descriptors.',
        unit: 'none',
        log: true,
        queries: [
          ['{{instance}} open', sum(select('process_open_fds'), 'instance')],
          ['{{instance}} limit', sum(select('process_max_fds'), 'instance')],
          ['{{instance}} threads', sum(select('process_threads'), 'instance')],
        ],
        empty: 'Off',
      }),
      lines({
        title: 'Age',
        description: 'Time since the process started: a drop is a restart.',
        unit: 's',
        min: 0,
        queries: [['{{instance}}', `time() - ${max(select('process_start_time_seconds'), 'instance')}`]],
        empty: 'Off',
      }),
    ],
    [
      'Do the collectors work?',
      lines({
        title: 'Collectors',
        description: '1 while a collector reads what it should, 0 when it cannot. What is turned off is not here.',
        unit: 'none',
        min: 0,
        max: 1,
        decimals: 0,
        queries: [['{{collector}}', min(family('collector_up'), 'collector')]],
        empty: 'Off',
      }),
      lines({
        title: 'Time of a round',
        description: 'How long a collector’s last round took. None of them runs inside a scrape or on a worker’s time.',
        unit: 's',
        log: true,
        queries: [['{{collector}}', max(family('collector_seconds'), 'collector')]],
        empty: 'Off',
      }),
    ],
  ],
};
