import { Board, MODELS, UPSTREAMS } from './board';
import { curve, lines, number, table } from './panel';
import { HERE, MODEL, UPSTREAM, family, increase, mean, quantile, rate, ratio, select, sum, unlessNeverCounted } from './query';

// Over the selected time range: tokens per second at each number of decoding streams, and the mean of that number.
const seconds = sum(increase(family('concurrency_seconds_total', UPSTREAM)), 'streams');
// A level of a few milliseconds has no throughput: one chunk in it made a speedup of 390.
const lasted = `(${seconds} >= 10)`;
const tokens = sum(increase(family('concurrency_tokens_total', UPSTREAM, MODEL)), 'streams');
const decoding = sum(increase(family('concurrency_stream_seconds_total', UPSTREAM)), 'streams');
// The tokens per second of a single stream of each upstream, by sidecar: two sidecars may give their upstreams one name.
const EACH = ['job', 'instance', 'upstream'];
const alone = ratio(
  sum(increase(family('concurrency_tokens_total', UPSTREAM, MODEL, 'streams="1"')), ...EACH),
  `(${sum(increase(family('concurrency_seconds_total', UPSTREAM, 'streams="1"')), ...EACH)} > 0)`,
);
// Levels that lasted a second, of each upstream.
const levelSeconds = `(${sum(increase(family('concurrency_seconds_total', UPSTREAM)), 'upstream', 'streams')} >= 1)`;
const curvePoint = ratio(tokens, lasted);
const streams = ratio(decoding, lasted);
// The tokens of all upstreams, divided by those that a single stream of each would have made in the same time. The sum of
// tokens divided by the sum of seconds would compare a slow upstream with a fast one.
const ofEach = (name: string, ...matchers: string[]) => sum(increase(family(name, UPSTREAM, ...matchers)), ...EACH, 'streams');
const speedup = ratio(
  sum(`${ofEach('concurrency_tokens_total', MODEL)} and on (${EACH.join(', ')}) ${alone}`, 'streams'),
  `(${sum(`${ofEach('concurrency_seconds_total')} * on (${EACH.join(', ')}) group_left () (${alone})`, 'streams')} and ${lasted})`,
);

// prometheus/rules/recording.yml records them, because alerts use them too.
const overlapSpeedup = select('upstream:streamgauge_overlap_speedup:rate5m', UPSTREAM);
const overlapEfficiency = select('upstream:streamgauge_overlap_efficiency:rate5m', UPSTREAM);
// A single stream is the measure, always 1.
const trueSpeedup = select('streams:streamgauge_true_speedup:rate1h', UPSTREAM, 'streams!="1"');

const gap = (q: string, at: string) =>
  `max(${select(`model_at:streamgauge_chunk_gap_seconds:${q}_rate5m`, MODEL, `at="${at}"`)})`;
const lag = quantile(0.99, 'runtime_lag_seconds', ['runtime!="admin"']);
// Tokio's timer has a resolution of 1.1 ms, which an idle runtime shows.
const resonance = ratio(`clamp_min(${lag} - 0.0011, 0)`, quantile(0.5, 'chunk_gap_seconds', [MODEL, 'at="upstream"']));
const blocked = ratio(
  sum(rate(family('client_backpressure_seconds_total', MODEL))),
  sum(rate(family('stream_seconds_total', UPSTREAM))),
);

export const efficiency: Board = {
  uid: 'streamgauge-efficiency',
  title: 'Streamgauge / Efficiency',
  description: 'How much do concurrent streams slow each other down, and does the model, the scheduler, the client or the sidecar delay them?',
  variables: [UPSTREAMS, MODELS],
  stats: [
    number({
      title: 'Overlap speedup',
      description:
        'Sum of the durations of all streams, divided by the wall time with at least one stream: the mean number of concurrent streams. A high value does not prove a gain, because streams that wait for each other count too. An upstream that neither sends a token nor completes a request for five minutes has no value.',
      unit: '×',
      decimals: 2,
      expr: `max(${overlapSpeedup})`,
    }),
    number({
      title: 'Overlap speedup / peak in flight',
      description:
        'Overlap efficiency: the overlap speedup divided by the highest number of requests in flight that a scrape saw in the same five minutes. Both count the requests that take a slot: generations and embeddings. It is at most 100 % and measures how evenly requests overlapped. It does not measure a gain.',
      unit: 'percentunit',
      decimals: 0,
      expr: `max(${overlapEfficiency})`,
    }),
    number({
      title: 'Best true speedup',
      description:
        'Tokens per second at the best number of concurrent streams in the selected time range, divided by the tokens per second of a stream alone. Below 1, streams would finish sooner one after the other.',
      unit: '×',
      decimals: 2,
      expr: `max(${speedup})`,
      limits: { wrong: 1, below: true },
      empty: 'No single stream',
    }),
    number({
      title: 'Mean decoding streams',
      description: 'Mean number of streams past their first record, over the time with at least one such stream.',
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
        'Wait inside Ollama that Ollama does not report, 95th percentile. It is the smaller of two differences: the time to the first record minus load and prompt evaluation, and the total duration minus all other durations. It is accurate to the time of one token.',
      unit: 's',
      expr: quantile(0.95, 'phase_seconds', [MODEL, 'phase="queue"']),
      limits: { look: 1, wrong: 5 },
    }),
    number({
      title: 'Scheduler lag p99 / median gap',
      description:
        'Scheduler lag p99, minus the timer resolution of 1.1 ms, divided by the median gap between chunks. Near 100 %, the scheduler would disturb the streams that it measures. TR117 measured 67 % in Python.',
      unit: 'percentunit',
      decimals: 1,
      expr: resonance,
      limits: { look: 0.2, wrong: 0.5 },
    }),
    number({
      title: 'Client wait / stream time',
      description: 'Time in which streams waited for a slow client, divided by the total time of the streams.',
      unit: 'percentunit',
      decimals: 1,
      expr: blocked,
      limits: { look: 0.1, wrong: 0.25 },
    }),
    number({
      title: 'Shaping delay, s per second',
      description: 'Delay that shaping adds on purpose, in stream-seconds per second. 0 if shaping is off.',
      unit: 's',
      expr: sum(rate(family('shaping_delay_seconds_total'))),
      empty: 'Off',
    }),
  ],
  rows: [
    [
      'Does another concurrent stream increase throughput?',
      curve({
        title: 'Tokens per second by concurrent streams',
        description:
          'The concurrency curve over the selected time range. Each point is a number of concurrently decoding streams that lasted at least ten seconds in total. Where the curve is flat, additional streams only share the throughput. Where it falls, they reduce the throughput. A stream that a slow client holds counts as decoding: while "Client wait / stream time" of Overview is high, the curve is too low. If you select a model, the y axis shows the tokens of that model only.',
        unit: 'tokens/s',
        min: 0,
        join: 'streams',
        x: { name: 'concurrent decoding streams', expr: streams },
        y: [{ name: 'tokens/s of all streams', expr: curvePoint }],
      }),
      curve({
        title: 'True speedup and efficiency by concurrent streams',
        description:
          'True speedup: tokens per second of all streams, divided by tokens per second of a stream alone. True efficiency: true speedup divided by the number of streams. An efficiency of 1 means that no stream slows another one down. The panel needs some time with a single stream in the selected time range.',
        unit: 'none',
        decimals: 2,
        min: 0,
        join: 'streams',
        x: { name: 'concurrent decoding streams', expr: streams },
        y: [
          { name: 'true speedup', expr: speedup },
          { name: 'true efficiency (speedup / streams)', expr: ratio(`(${speedup})`, `(${streams})`) },
        ],
        empty: 'No time with a single stream',
      }),
      table({
        title: 'Time at each number of concurrent streams',
        description:
          'For each upstream and each number of decoding streams in the selected time range: the time, its share of all time in which the upstream had a decoding stream, the mean number of streams, and the tokens per second of all streams together. It shows how much data supports each point of the curves above.',
        unit: 'none',
        width: 14,
        height: 10,
        columns: [
          { name: 'time', unit: 's', decimals: 1, expr: levelSeconds },
          {
            name: 'share',
            unit: 'percentunit',
            decimals: 1,
            expr: `${levelSeconds} / on (upstream) group_left () ${sum(increase(family('concurrency_seconds_total', UPSTREAM)), 'upstream')}`,
          },
          {
            name: 'mean streams',
            unit: 'none',
            decimals: 1,
            expr: `${sum(increase(family('concurrency_stream_seconds_total', UPSTREAM)), 'upstream', 'streams')} / ${levelSeconds}`,
          },
          {
            name: 'tokens/s',
            unit: 'tokens/s',
            decimals: 1,
            expr: `${sum(increase(family('concurrency_tokens_total', UPSTREAM, MODEL)), 'upstream', 'streams')} / ${levelSeconds}`,
          },
        ],
        labels: ['upstream', 'streams'],
        sort: [
          { by: 'upstream', desc: false },
          { by: 'mean streams', desc: false },
        ],
      }),
      lines({
        title: 'True speedup over time, by concurrent streams',
        description:
          'Tokens per second at each number of streams, divided by tokens per second of a stream alone, over the hour before each point (recorded). A number of streams appears once it and a single stream have each lasted ten seconds.',
        unit: '×',
        width: 10,
        height: 10,
        decimals: 2,
        min: 0,
        queries: [['{{streams}} streams', `max by (streams) (${trueSpeedup})`]],
        empty: 'No time with a single stream',
      }),
    ],
    [
      'How much do streams overlap?',
      lines({
        title: 'Overlap speedup by upstream',
        description:
          'Sum of the durations of all streams, divided by the wall time with at least one stream (recorded over 5 minutes).',
        unit: '×',
        decimals: 2,
        min: 0,
        queries: [['{{upstream}}', `max by (upstream) (${overlapSpeedup})`]],
      }),
      lines({
        title: 'Overlap efficiency (speedup / peak in flight)',
        description:
          'Overlap speedup divided by the highest number of requests in flight that a scrape saw, by upstream (recorded over 5 minutes). Both count the requests that take a slot. For two streams it is (1 + shorter / longer) / 2: 86 % means that one stream ran 0.72 times as long as the other. It does not measure a gain.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [['{{upstream}}', `max by (upstream) (${overlapEfficiency})`]],
      }),
    ],
    [
      'Where does the time go?',
      lines({
        title: 'Mean time per phase',
        height: 14,
        description:
          'Mean time of a generation in each phase. `queue` is the hidden queue inside Ollama. `decode` lasts from the first token to the last record. `eval` is the duration that Ollama reports for it, and `unaccounted` is the difference. Before Ollama 0.30 the difference contains sampling and the wait for the batch. Since then it is close to 0.',
        unit: 's',
        min: 0,
        queries: [['{{phase}}', mean('phase_seconds', [MODEL], 'phase')]],
      }),
      lines({
        title: 'Waits before the first token, p95',
        height: 14,
        description:
          '95th percentile of each wait before the first token: the sidecar’s queue, the hidden queue inside Ollama, loading the model and evaluating the prompt.',
        unit: 's',
        min: 0,
        queries: [
          ['sidecar queue', quantile(0.95, 'queue_wait_seconds')],
          ['Ollama: {{phase}}', quantile(0.95, 'phase_seconds', [MODEL, 'phase=~"queue|load|prompt_eval"'], 'phase')],
        ],
      }),
      lines({
        title: 'Tokens per second of a stream, median',
        description:
          'Tokens per second of one stream by two clocks: as Ollama reports, (eval_count − 1) / eval_duration, and by the arrival of the chunks. Before Ollama 0.30, eval_duration excludes sampling. The speed by arrival is the one that users see.',
        unit: 'tokens/s',
        min: 0,
        queries: [['by {{by}}', quantile(0.5, 'output_tokens_per_second', [MODEL], 'by')]],
      }),
      lines({
        title: 'Prompt tokens per second by model',
        description:
          'Prompt tokens that Ollama evaluated, divided by the time that it needed, without tokens from its cache. Only Ollama 0.34 and newer report the cached tokens. With an older Ollama this panel is empty.',
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
        title: 'Cached / all prompt tokens by model',
        description:
          'Prompt tokens that came from Ollama’s cache, divided by all prompt tokens. The value is 0 with Ollama 0.33 and older, which do not report cached tokens.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [
          [
            '{{model}}',
            `clamp_max(${sum(rate(family('tokens_total', MODEL, 'kind="prompt_cached"')), 'model')} / ${sum(rate(family('tokens_total', MODEL, 'kind="prompt"')), 'model')}, 1)`,
          ],
        ],
      }),
      lines({
        title: 'Records per second by content',
        description: 'Records per second by their content. Thinking and tool calls are output too.',
        unit: 'ops',
        min: 0,
        queries: [
          ['{{kind}}', unlessNeverCounted(sum(rate(family('records_total', MODEL)), 'kind'), family('records_total', MODEL), 'kind')],
        ],
      }),
    ],
    [
      'Is the model, the network or the client slow?',
      ...(['p50', 'p99'] as const).map((q) =>
        lines({
          title: `Gap by measuring point, ${q}`,
          description:
            'Time between records by Ollama’s timestamps (origin), between chunks at their arrival (upstream), and between frames at their delivery (client). The panel shows the slowest model (recorded over 5 minutes). A high origin means a slow model. If upstream is above origin, the network or the sidecar’s runtime is slow. If client is above upstream, shaping or the client is slow.',
          unit: 's',
          min: 0,
          queries: ['origin', 'upstream', 'client'].map((at) => [at, gap(q, at)] as [string, string]),
        }),
      ),
      lines({
        title: 'Gaps excluded from the histograms',
        description:
          'Chunks per second that arrived after the client had taken nothing for a while, so that the sidecar did not read from the upstream. Records per second whose Ollama timestamp is invalid, because the clock was changed. The gap histograms exclude these gaps.',
        unit: 'ops',
        min: 0,
        queries: [
          ['{{model}}: client took nothing', sum(rate(family('gaps_held_total', MODEL)), 'model')],
          ['{{upstream}}: clock changed', sum(rate(family('origin_gaps_invalid_total', UPSTREAM)), 'upstream')],
        ],
      }),
      lines({
        title: 'Chunk size',
        description:
          'Bytes per chunk from the upstream. A chunk is usually one record of 100 to 200 bytes. It is larger if several records arrive together.',
        unit: 'bytes',
        min: 0,
        queries: [0.5, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'chunk_bytes', [MODEL])]),
      }),
    ],
  ],
  details: [
    [
      'Does the scheduler disturb the streams?',
      lines({
        title: 'Scheduler lag and chunk gap',
        description:
          'Scheduler lag p99 of the runtimes that forward streams, and the gap between chunks. The lag should be many times smaller than the gap.',
        unit: 's',
        log: true,
        queries: [
          ['scheduler lag p99', lag],
          ['gap p50', quantile(0.5, 'chunk_gap_seconds', [MODEL, 'at="upstream"'])],
          ['gap p99', quantile(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"'])],
        ],
      }),
      lines({
        title: 'Scheduler lag p99 / median gap',
        description:
          'Scheduler lag p99, minus the timer resolution of 1.1 ms, divided by the median gap between chunks. TR117 calls this ratio "resonance". Above 50 %, the measured gaps are mostly those of the scheduler.',
        unit: 'percentunit',
        min: 0,
        limits: { wrong: 0.5 },
        queries: [['scheduler lag p99 / median gap', resonance]],
      }),
    ],
    [
      'Does a slow client or shaping delay the streams?',
      lines({
        title: 'Wait for slow clients by model',
        softMax: 0.1,
        description:
          'Stream-seconds per second in which a client did not read data that was available. Ollama continues until the buffers are full.',
        unit: 's',
        min: 0,
        queries: [['{{model}}', sum(rate(family('client_backpressure_seconds_total', MODEL)), 'model')]],
      }),
      lines({
        title: 'Shaping delay by kind',
        softMax: 0.1,
        description: 'Stream-seconds per second for which pace and coalesce delay records on purpose.',
        unit: 's',
        min: 0,
        queries: [['{{kind}}', sum(rate(family('shaping_delay_seconds_total')), 'kind')]],
        empty: 'Shaping is off',
      }),
      lines({
        title: 'Records per second into and out of shaping',
        description: 'Records per second that enter and leave shaping. Merging reduces their number.',
        unit: 'ops',
        min: 0,
        queries: [
          ['in', sum(rate(family('shaping_records_in_total')))],
          ['out', sum(rate(family('shaping_records_out_total')))],
        ],
        empty: 'Shaping is off',
      }),
      lines({
        title: 'Bytes buffered by shaping',
        description: 'Bytes that shaping holds now, by sidecar. The limit is 256 KiB per stream by default.',
        unit: 'bytes',
        min: 0,
        queries: [['{{instance}}', sum(family('shaping_buffer_bytes'), ...HERE.split(', '))]],
        empty: 'Shaping is off',
      }),
    ],
  ],
};
