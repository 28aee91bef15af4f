import { Board, MODELS, UPSTREAMS } from './board';
import { lines, list, number } from './panel';
import { MODEL, UPSTREAM, family, max, min, orZero, orZeroOf, quantile, rate, ratio, select, sum, within } from './query';

const FAILED = 'outcome=~"in_band_error|truncated|upstream_error"';
const requests = (...matchers: string[]) => rate(family('requests_total', UPSTREAM, MODEL, ...matchers));

export const overview: Board = {
  uid: 'streamgauge-overview',
  title: 'Streamgauge / Overview',
  description: 'Is Ollama up, who asks for how much, how fast does it answer, and does anything go wrong?',
  variables: [
    UPSTREAMS,
    MODELS,
    {
      kind: 'choice',
      name: 'ttft_slo',
      label: 'First token within (s)',
      description: 'What counts as a quick first token; the bounds of the histogram.',
      values: ['0.25', '0.5', '1', '2.5', '5', '10', '20', '40'],
      start: '2.5',
    },
    {
      kind: 'choice',
      name: 'gap_slo',
      label: 'Gap within (s)',
      description: 'What counts as an even stream; the bounds of the histogram.',
      values: ['0.02', '0.03', '0.04', '0.06', '0.1', '0.15', '0.25', '0.5', '1'],
      start: '0.25',
    },
  ],
  stats: [
    number({
      title: 'Upstreams',
      description: 'Whether every Ollama answers its probes. "Down" if one of those chosen above does not.',
      unit: 'none',
      expr: min(family('upstream_up', UPSTREAM)),
      mappings: { '0': ['Down', 'red'], '1': ['Up', 'green'] },
      empty: 'No sidecar',
    }),
    number({
      title: 'Requests',
      description: 'Requests that ended, a second, on every route.',
      unit: 'reqps',
      expr: sum(requests()),
    }),
    number({
      title: 'Failed',
      description:
        'Share of requests that Ollama or the way to it spoilt: an error inside a stream, a stream cut short, a 5xx, no answer. What clients got wrong, gave up or were refused is not in it.',
      unit: 'percentunit',
      decimals: 1,
      expr: ratio(`(${orZero(sum(requests(FAILED)))})`, sum(requests())),
      limits: { look: 0.01, wrong: 0.05 },
    }),
    number({
      title: 'In flight',
      description: 'Requests whose last byte has not gone out yet.',
      unit: 'none',
      expr: sum(family('requests_in_flight', UPSTREAM)),
    }),
    number({
      title: 'Output',
      description: 'Output tokens a second of all streams, as Ollama counts them at the end of each.',
      unit: 'tokens/s',
      decimals: 1,
      expr: sum(rate(family('tokens_total', MODEL, 'kind="output"'))),
    }),
    number({
      title: 'First token, p95',
      description: 'Nineteen of twenty streams had their first content within this time after their request came.',
      unit: 's',
      expr: quantile(0.95, 'time_to_first_token_seconds', [MODEL]),
    }),
    number({
      title: 'Gap, p99',
      description: 'Ninety-nine of a hundred chunks came from Ollama within this time after the one before.',
      unit: 's',
      expr: quantile(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"']),
    }),
    number({
      title: 'Silence',
      description:
        'For how long an Ollama has sent nothing, divided by the longest silence that is usual for the requests that run there. Above 1 it is wedged.',
      unit: 'none',
      expr: max(family('silence_ratio', UPSTREAM)),
      limits: { look: 0.5, wrong: 1 },
    }),
  ],
  rows: [
    [
      'Is it up, and how much is asked?',
      lines({
        title: 'Requests by route',
        description: 'Requests that ended, a second, by what they asked for.',
        unit: 'reqps',
        stacked: true,
        min: 0,
        queries: [['{{route}}', sum(requests(), 'route')]],
      }),
      lines({
        title: 'In flight and queued',
        description:
          'Requests with an upstream, and those that wait in our own queue for a place at it (only upstreams with `max_streams` have one). A queue that grows asks for more capacity or for limits.',
        unit: 'none',
        min: 0,
        queries: [
          ['in flight, {{upstream}}', sum(family('requests_in_flight', UPSTREAM), 'upstream')],
          ['queued, {{upstream}}', sum(family('queue_depth', UPSTREAM), 'upstream')],
        ],
      }),
      lines({
        title: 'Sidecars and upstreams that answer',
        description:
          'Sidecars that Prometheus could scrape, and upstreams that answer their probes (of two sidecars with one Ollama each, two).',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [
          ['sidecars', sum(select('up'))],
          ['upstreams', sum(family('upstream_up', UPSTREAM))],
        ],
        empty: 'No sidecar',
      }),
      lines({
        title: 'Tokens',
        description:
          'Tokens a second, as Ollama counts them at the end of a stream: a long stream shows when it ends. Cached prompt tokens are a part of the prompt ones, and only newer Ollamas tell them.',
        unit: 'tokens/s',
        min: 0,
        queries: [['{{kind}}', sum(rate(family('tokens_total', MODEL)), 'kind')]],
      }),
    ],
    [
      'How long until the first token, and until the last byte?',
      lines({
        title: 'First token',
        description:
          'From a request to its first content. Queueing, loading and reading the prompt are all in it: see "Where does the time go?" in Efficiency for which.',
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => [
          `p${q * 100}`,
          quantile(q, 'time_to_first_token_seconds', [MODEL]),
        ]),
      }),
      lines({
        title: 'First token within $ttft_slo s',
        description: 'Share of streams whose first content came within the time chosen above.',
        unit: 'percentunit',
        max: 1,
        queries: [['within $ttft_slo s', within('$ttft_slo', 'time_to_first_token_seconds', MODEL)]],
      }),
      lines({
        title: 'First token by model',
        description: 'The 95th percentile. Whether one model makes people wait: one that is often loaded anew, or a large one.',
        unit: 's',
        min: 0,
        queries: [['{{model}}', quantile(0.95, 'time_to_first_token_seconds', [MODEL], 'model')]],
      }),
      lines({
        title: 'Whole request',
        description: 'From a request to the last byte of its response, all routes. Long answers are long: compare with tokens.',
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'request_duration_seconds', [MODEL])]),
      }),
    ],
    [
      'How evenly do tokens come?',
      lines({
        title: 'Gap between chunks',
        description:
          'Time between two chunks with content as they came from Ollama. A stream at 50 tokens a second has a gap of 20 ms.',
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => [
          `p${q * 100}`,
          quantile(q, 'chunk_gap_seconds', [MODEL, 'at="upstream"']),
        ]),
      }),
      lines({
        title: 'Gaps within $gap_slo s',
        description: 'Share of gaps no longer than the time chosen above: below it, readers see a stream falter.',
        unit: 'percentunit',
        max: 1,
        queries: [['within $gap_slo s', within('$gap_slo', 'chunk_gap_seconds', MODEL, 'at="upstream"')]],
      }),
    ],
    [
      'Is a stream stuck?',
      lines({
        title: 'Silence of running streams',
        description:
          'Age of the newest chunk while streams past their first record run: all of an upstream’s streams are silent that long. Seconds are long, unless a stream writes a tool call.',
        width: 8,
        unit: 's',
        min: 0,
        queries: [['{{upstream}}', max(family('silent_seconds', UPSTREAM), 'upstream')]],
      }),
      lines({
        title: 'Silence against the usual',
        description:
          'For how long nothing has come from an upstream, divided by the longest silence that is usual for the requests that run there. Above 1 the upstream is wedged. A tool call alone is never judged.',
        width: 8,
        unit: 'none',
        min: 0,
        limits: { wrong: 1 },
        queries: [['{{upstream}}', max(family('silence_ratio', UPSTREAM), 'upstream')]],
      }),
      lines({
        title: 'Longest wait for a first record',
        description:
          'Age of the oldest request that has no answer yet. A large model takes minutes to load; beyond five it is stuck or the queue inside Ollama is long.',
        width: 8,
        unit: 's',
        min: 0,
        limits: { wrong: 300 },
        queries: [['{{upstream}}', max(family('waiting_seconds', UPSTREAM), 'upstream')]],
      }),
    ],
    [
      'What goes wrong?',
      lines({
        title: 'Outcomes',
        description: 'How requests ended, each decided once. docs/reference/metrics.md has what each means.',
        unit: 'reqps',
        stacked: true,
        min: 0,
        queries: [['{{outcome}}', sum(requests(), 'outcome')]],
      }),
      lines({
        title: 'Failures by model',
        description: 'Failed requests a second by model: an error inside a stream, a stream cut short, a 5xx or no answer.',
        unit: 'reqps',
        min: 0,
        queries: [['{{model}}', orZeroOf(sum(requests(), 'model'), sum(requests(FAILED), 'model'))]],
      }),
      lines({
        title: 'Status codes',
        description: 'Responses a second by the code that the client saw. An error inside a stream has code 200.',
        unit: 'reqps',
        stacked: true,
        min: 0,
        queries: [['{{code}}', sum(rate(family('responses_total')), 'code')]],
      }),
      lines({
        title: 'What could not be measured or served',
        description:
          'A second: generations that ended without counts or with counts below what came, records passed over, requests passed on before their model was found, malformed requests, connections refused, clients that vanished, requests refused at the admin address, models whose label another model took. All should be near 0.',
        unit: 'ops',
        min: 0,
        queries: [
          ['no counts', sum(rate(family('usage_missing_total')))],
          ['counts below what came', sum(rate(family('usage_understated_total')))],
          ['record not scanned: {{reason}}', sum(rate(family('records_unscanned_total')), 'reason')],
          ['body not read on: {{reason}}', sum(rate(family('read_ahead_stopped_total')), 'reason')],
          ['malformed request', sum(rate(family('requests_malformed_total')))],
          ['label of a model taken', sum(rate(family('model_labels_dropped_total')))],
          ['connection refused', sum(rate(family('connections_refused_total')))],
          ['client vanished', sum(rate(family('connections_vanished_total')))],
          ['admin address: {{reason}}', sum(rate(family('admin_requests_refused_total')), 'reason')],
        ],
      }),
    ],
    [
      'What does the sidecar itself cost and do?',
      lines({
        title: 'Added to a chunk',
        description:
          'From a chunk’s arrival to its frame handed on, without what shaping holds back on purpose, and the part of it that reading one record takes.',
        unit: 's',
        min: 0,
        queries: [
          ['overhead p50', quantile(0.5, 'self_overhead_seconds')],
          ['overhead p99', quantile(0.99, 'self_overhead_seconds')],
          ['scan p50', quantile(0.5, 'record_scan_seconds')],
          ['scan p99', quantile(0.99, 'record_scan_seconds')],
        ],
      }),
      lines({
        title: 'Connections',
        description: 'Open connections by listener.',
        unit: 'none',
        min: 0,
        queries: [['{{listener}}', sum(family('connections_open'), 'listener')]],
      }),
      number({
        title: 'Panics',
        description: 'Panics caught in the range shown. Each is a bug: please report it.',
        unit: 'none',
        width: 8,
        decimals: 0,
        expr: sum(`increase(${family('panics_total')}[$__range])`),
        limits: { wrong: 1 },
      }),
      number({
        title: 'Last reload',
        description: 'Whether the configuration read last is in force. "Refused": the file was wrong and the old one stays.',
        unit: 'none',
        width: 8,
        expr: min(family('config_last_reload_success')),
        mappings: { '0': ['Refused', 'red'], '1': ['In force', 'green'] },
        empty: 'Not told',
      }),
      number({
        title: 'Read',
        description: 'When the configuration was read last.',
        unit: 'dateTimeFromNow',
        width: 8,
        expr: `${max(family('config_last_reload_timestamp_seconds'))} * 1000`,
        empty: 'Not told',
      }),
      list({
        title: 'Which sidecars',
        description: 'The version of each sidecar, and the compiler that built it.',
        unit: 'none',
        width: 24,
        expr: family('build_info'),
        value: 'runs',
        hide: [],
        empty: 'No sidecar',
      }),
    ],
  ],
};
