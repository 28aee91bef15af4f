import { Board, MODELS, UPSTREAMS } from './board';
import { curve, lines, number } from './panel';
import { HERE, MODEL, UPSTREAM, family, increase, mean, quantile, rate, ratio, select, sum } from './query';

// Over the range shown: tokens a second while so many streams decoded, and how many that was on average.
const seconds = sum(increase(family('concurrency_seconds_total', UPSTREAM)), 'streams');
const tokens = sum(increase(family('concurrency_tokens_total', UPSTREAM, MODEL)), 'streams');
const decoding = sum(increase(family('concurrency_stream_seconds_total', UPSTREAM)), 'streams');
const alone = ratio(
  sum(increase(family('concurrency_tokens_total', UPSTREAM, MODEL, 'streams="1"'))),
  `(${sum(increase(family('concurrency_seconds_total', UPSTREAM, 'streams="1"')))} > 0)`,
);
const curvePoint = ratio(tokens, `(${seconds} > 0)`);
const streams = ratio(decoding, `(${seconds} > 0)`);
const speedup = ratio(curvePoint, `ignoring (streams) group_left () (${alone})`);

// Recorded by prometheus/rules/recording.yml, since alerts read them too.
const overlapSpeedup = select('upstream:streamgauge_overlap_speedup:rate5m', UPSTREAM);
const overlapEfficiency = select('upstream:streamgauge_overlap_efficiency:rate5m', UPSTREAM);
const trueSpeedup = select('streams:streamgauge_true_speedup:rate1h', UPSTREAM);

const gap = (q: string, at: string) =>
  `max(${select(`model_at:streamgauge_chunk_gap_seconds:${q}_rate5m`, MODEL, `at="${at}"`)})`;
const lag = quantile(0.99, 'runtime_lag_seconds', ['runtime!="admin"']);
// Tokio's timer has a grain of 1.1 ms, which an idle runtime shows.
const resonance = ratio(`clamp_min(${lag} - 0.0011, 0)`, quantile(0.5, 'chunk_gap_seconds', [MODEL, 'at="upstream"']));
const blocked = ratio(
  sum(rate(family('client_backpressure_seconds_total', MODEL))),
  sum(rate(family('stream_seconds_total', UPSTREAM))),
);

export const efficiency: Board = {
  uid: 'streamgauge-efficiency',
  title: 'Streamgauge / Efficiency',
  description: 'What do concurrent streams cost each other, and who makes them wait: the model, the scheduler, the client or us?',
  variables: [UPSTREAMS, MODELS],
  stats: [
    number({
      title: 'Overlap speedup',
      description:
        'Summed time of streams by wall time with at least one. It says how many ran side by side, not that anything was gained: streams that only wait for each other count too.',
      unit: 'none',
      decimals: 2,
      expr: `max(${overlapSpeedup})`,
    }),
    number({
      title: 'Overlap efficiency',
      description:
        'Overlap speedup by the most streams decoding at once in the same five minutes. It measures how evenly streams ran side by side.',
      unit: 'percentunit',
      decimals: 0,
      expr: `max(${overlapEfficiency})`,
    }),
    number({
      title: 'True speedup',
      description:
        'The best of all levels of concurrency in the range shown: tokens a second at that level against tokens a second of a stream alone. Below 1, streams would be better off one after the other.',
      unit: 'none',
      decimals: 2,
      expr: `max(${speedup})`,
      limits: { wrong: 1, below: true },
      empty: 'None alone',
    }),
    number({
      title: 'Decoding at once',
      description: 'Streams past their first record, the mean over the time in which there was one.',
      unit: 'none',
      decimals: 1,
      expr: ratio(
        sum(rate(family('concurrency_stream_seconds_total', UPSTREAM))),
        sum(rate(family('concurrency_seconds_total', UPSTREAM))),
      ),
    }),
    number({
      title: 'Hidden queue, p95',
      description:
        'Wait inside Ollama, which it does not tell: the time to the first record less load and prompt, or the total less all other durations, if that is smaller. Right to one token’s time.',
      unit: 's',
      expr: quantile(0.95, 'phase_seconds', [MODEL, 'phase="queue"']),
      limits: { look: 1, wrong: 5 },
    }),
    number({
      title: 'Lag against gap',
      description:
        'Scheduler lag p99, less the timer’s grain of 1.1 ms, divided by the median gap. Near 1 the scheduler would disturb what it measures; the report that this dashboard follows saw 0.67 in Python.',
      unit: 'percentunit',
      decimals: 1,
      expr: resonance,
      limits: { look: 0.2, wrong: 0.5 },
    }),
    number({
      title: 'Clients too slow',
      description: 'Share of streaming time in which a client did not take what was there.',
      unit: 'percentunit',
      decimals: 1,
      expr: blocked,
      limits: { look: 0.1, wrong: 0.25 },
    }),
    number({
      title: 'Held back by us',
      description: 'Shaping’s delay, seconds a second, summed over streams. 0 with shaping off.',
      unit: 's',
      expr: sum(rate(family('shaping_delay_seconds_total'))),
      empty: 'Off',
    }),
  ],
  rows: [
    [
      'What does one more stream bring?',
      curve({
        title: 'Tokens a second by streams at once',
        description:
          'The concurrency curve over the range shown: each point is a level of concurrency that traffic passed through. Where it bends, more streams only share; where it falls, they cost. With a model chosen, y is that model’s part.',
        unit: 'tokens/s',
        min: 0,
        join: 'streams',
        x: { name: 'streams decoding at once', expr: streams },
        y: [{ name: 'tokens/s of all', expr: curvePoint }],
      }),
      curve({
        title: 'True speedup and efficiency by streams at once',
        description:
          'Tokens a second of all against those of a stream alone, and that by the number of streams: 1 means that nobody slowed anybody down. Needs some time with a single stream in the range shown.',
        unit: 'none',
        decimals: 2,
        min: 0,
        join: 'streams',
        x: { name: 'streams decoding at once', expr: streams },
        y: [
          { name: 'true speedup', expr: speedup },
          { name: 'true efficiency', expr: ratio(`(${speedup})`, `(${streams})`) },
        ],
        empty: 'No stream was alone',
      }),
      lines({
        title: 'Time at each level',
        description: 'Share of wall time with that many streams decoding: how much each point above rests on.',
        unit: 'percentunit',
        stacked: true,
        min: 0,
        queries: [['{{streams}}', sum(rate(family('concurrency_seconds_total', UPSTREAM)), 'streams')]],
      }),
      lines({
        title: 'True speedup over time',
        description:
          'By level of concurrency, over the last hour of each moment (recorded). A level appears once it and a single stream have each had ten seconds.',
        unit: 'none',
        decimals: 2,
        min: 0,
        queries: [['{{streams}} streams', `max by (streams) (${trueSpeedup})`]],
        empty: 'No stream was alone',
      }),
    ],
    [
      'How much do streams overlap?',
      lines({
        title: 'Overlap speedup',
        description: 'Summed time of streams by wall time with at least one, by upstream (recorded over 5 minutes).',
        unit: 'none',
        decimals: 2,
        min: 0,
        queries: [['{{upstream}}', `max by (upstream) (${overlapSpeedup})`]],
      }),
      lines({
        title: 'Overlap efficiency',
        description:
          'Overlap speedup by the most streams decoding at once, by upstream (recorded over 5 minutes). For two streams it is (1 + shorter / longer) / 2: 86 % says that one ran 0.72 times as long as the other, and nothing of gain.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [['{{upstream}}', `max by (upstream) (${overlapEfficiency})`]],
      }),
    ],
    [
      'Where does the time go?',
      lines({
        title: 'Phases, mean',
        description:
          'Mean time of a generation in each phase. "queue" is Ollama’s hidden one; "decode" is first token to last record, "eval" what Ollama says of it, and "unaccounted" the difference: before Ollama 0.30 sampling and the wait for the batch, since then nearly nothing.',
        unit: 's',
        min: 0,
        queries: [['{{phase}}', mean('phase_seconds', [MODEL], 'phase')]],
      }),
      lines({
        title: 'Before the first token',
        description: 'Waits before anything comes, the 95th percentile of each: our own queue, Ollama’s hidden queue, loading, reading the prompt.',
        unit: 's',
        min: 0,
        queries: [
          ['our queue', quantile(0.95, 'queue_wait_seconds', [UPSTREAM])],
          ['Ollama: {{phase}}', quantile(0.95, 'phase_seconds', [MODEL, 'phase=~"queue|load|prompt_eval"'], 'phase')],
        ],
      }),
      lines({
        title: 'Speed of a stream, median',
        description:
          'Tokens per second of one stream: as Ollama tells, (eval_count − 1) / eval_duration, and as they came. Before Ollama 0.30 its duration leaves sampling out. The second is what people see.',
        unit: 'tokens/s',
        min: 0,
        queries: [['by {{by}}', quantile(0.5, 'output_tokens_per_second', [MODEL], 'by')]],
      }),
      lines({
        title: 'Prompt speed',
        description:
          'Prompt tokens that Ollama evaluated per second, without those that came from its cache, by model. Only Ollama 0.34 and newer tell the cached part; in front of an older one this panel is empty.',
        unit: 'tokens/s',
        min: 0,
        queries: [
          [
            '{{model}}',
            `${sum(rate(family('prompt_evaluated_tokens_total', MODEL)), 'model')} / ${sum(rate(family('prompt_evaluated_seconds_total', MODEL)), 'model')}`,
          ],
        ],
      }),
      lines({
        title: 'Cached part of prompts',
        description:
          'Prompt tokens that came from Ollama’s cache, divided by all prompt tokens, by model. 0 in front of Ollama 0.33 and older, which does not tell them.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [
          [
            '{{model}}',
            `${sum(rate(family('tokens_total', MODEL, 'kind="prompt_cached"')), 'model')} / ${sum(rate(family('tokens_total', MODEL, 'kind="prompt"')), 'model')}`,
          ],
        ],
      }),
      lines({
        title: 'Records',
        description: 'Records a second by what they carry. Thinking and tool calls are output too.',
        unit: 'ops',
        min: 0,
        queries: [['{{kind}}', sum(rate(family('records_total', MODEL)), 'kind')]],
      }),
    ],
    [
      'Is it the model, the way here, or the way on?',
      ...(['p50', 'p99'] as const).map((q) =>
        lines({
          title: `Gap at three places, ${q}`,
          description:
            'Between records as Ollama stamped them (origin), between chunks as they came here (upstream), between frames as handed on (client), the worst model (recorded over 5 minutes). Origin high: the model. Upstream above origin: the network or our runtime. Client above upstream: shaping or the client.',
          unit: 's',
          min: 0,
          queries: ['origin', 'upstream', 'client'].map((at) => [at, gap(q, at)] as [string, string]),
        }),
      ),
      lines({
        title: 'Gaps left out',
        description:
          'Chunks a second that came after a stretch in which the client took nothing, so that nobody looked upstream, and records a second whose time by Ollama’s clock cannot be right, because that clock was set. Their gaps are in no histogram.',
        unit: 'ops',
        min: 0,
        queries: [
          ['{{model}}', sum(rate(family('gaps_held_total', MODEL)), 'model')],
          ['clock of {{upstream}}', sum(rate(family('origin_gaps_invalid_total', UPSTREAM)), 'upstream')],
        ],
      }),
      lines({
        title: 'Size of a chunk',
        description: 'Bytes of an arrival. Usually one record of some 100 to 200 bytes; more when several came together.',
        unit: 'bytes',
        min: 0,
        queries: [0.5, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'chunk_bytes', [MODEL])]),
      }),
    ],
    [
      'Does the scheduler disturb the streams?',
      lines({
        title: 'Lag and gap',
        description: 'Scheduler lag p99 of the runtimes that forward streams beside the gap between chunks. They should be decades apart.',
        unit: 's',
        log: true,
        queries: [
          ['lag p99', lag],
          ['gap p50', quantile(0.5, 'chunk_gap_seconds', [MODEL, 'at="upstream"'])],
          ['gap p99', quantile(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"'])],
        ],
      }),
      lines({
        title: 'Lag against gap',
        description:
          'Scheduler lag p99, less the timer’s grain of 1.1 ms, divided by the median gap: the report’s "resonance". Above a half, what is measured here is the scheduler.',
        unit: 'percentunit',
        min: 0,
        limits: { wrong: 0.5 },
        queries: [['lag p99 / gap p50', resonance]],
      }),
    ],
    [
      'Who slows delivery down?',
      lines({
        title: 'Clients too slow',
        description:
          'Seconds a second, summed over streams, in which a client did not take what was there, by model. Ollama goes on until buffers fill.',
        unit: 's',
        min: 0,
        queries: [['{{model}}', sum(rate(family('client_backpressure_seconds_total', MODEL)), 'model')]],
      }),
      lines({
        title: 'Shaping’s delay',
        description: 'Seconds a second, summed over streams, that pace and coalesce hold records back on purpose.',
        unit: 's',
        min: 0,
        queries: [['{{kind}}', sum(rate(family('shaping_delay_seconds_total')), 'kind')]],
        empty: 'Shaping is off',
      }),
      lines({
        title: 'Records through shaping',
        description: 'Records a second into shaping and out of it. Merging makes fewer of them.',
        unit: 'ops',
        min: 0,
        queries: [
          ['in', sum(rate(family('shaping_records_in_total')))],
          ['out', sum(rate(family('shaping_records_out_total')))],
        ],
        empty: 'Shaping is off',
      }),
      lines({
        title: 'Held by shaping',
        description: 'Bytes that shaping holds now, by sidecar. At most 256 KiB a stream, unless set otherwise.',
        unit: 'bytes',
        min: 0,
        queries: [['{{instance}}', sum(family('shaping_buffer_bytes'), ...HERE.split(', '))]],
        empty: 'Shaping is off',
      }),
    ],
  ],
};
