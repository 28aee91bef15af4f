import { Board, MODELS, UPSTREAMS } from './board';
import { Panel, Query, lines, list, number, states, table } from './panel';
import {
  GENERATION,
  MODEL,
  THROTTLED,
  UPSTREAM,
  family,
  increase,
  max,
  min,
  ofJob,
  orZero,
  orZeroOf,
  quantile,
  quantileOfRange,
  rate,
  ratio,
  select,
  sidecarsDown,
  sum,
  unlessNeverCounted,
  within,
  withinOf,
} from './query';

const FAILED = 'outcome=~"in_band_error|late_error|truncated|upstream_error"';
const REFUSED = 'outcome="refused"';
const requests = (...matchers: string[]) => rate(family('requests_total', UPSTREAM, MODEL, ...matchers));
// Per minute: a shared Ollama often serves fewer than one request in ten seconds.
const perMinute = (...by: string[]) => `60 * ${sum(requests(), ...by)}`;

// Requests whose model was read: not those that were refused before.
const KNOWN = 'model!~"unknown|none"';
const ended = (...more: string[]) => increase(family('requests_total', UPSTREAM, MODEL, KNOWN, ...more));

// In the last five minutes, by upstream. Two clients that gave up are no incident.
const left5m = sum(`rate(${family('left_before_first_token_total', UPSTREAM, MODEL)}[5m])`, 'upstream');
const generations5m = sum(`rate(${family('requests_total', UPSTREAM, MODEL, GENERATION)}[5m])`, 'upstream');
const leftShare = `max(${left5m} / ${generations5m} * (300 * ${left5m} > bool 2))`;

const callerShare = (outcome: string) =>
  `${sum(increase(family('caller_requests_total', outcome)), 'caller')} / (${sum(increase(family('caller_requests_total')), 'caller')} > 0)`;
const callerWait = sum(increase(family('caller_backpressure_seconds_total')), 'caller');
// A stream that waits for its client all the time has not ended yet, so that its caller may have no request.
const callerRequests = sum(increase(family('caller_requests_total')), 'caller');
const ofInterest = `${callerRequests} and on (caller) (topk(10, ${callerRequests} > 0) or topk(5, ${callerWait} > 1))`;
/** The ten callers with the highest value over the range shown, the same at every point of the plot. */
const tenCallers = (inner: string, highest: string) => `(${inner}) and on (caller) topk(10, ${highest})`;
const atEnd = (name: string, ...matchers: string[]) =>
  sum(`increase(${family(name, ...matchers)}[$__range] @ end())`, 'caller');
const callerTtft = (over: (counter: string) => string) =>
  ratio(
    sum(over(family('caller_first_token_seconds_total')), 'caller'),
    `(${sum(over(family('caller_first_tokens_total')), 'caller')} > 0)`,
  );

const loads = (...by: string[]) => sum(`increase(${family('model_loads_total', UPSTREAM, MODEL)}[10m])`, ...by);
const clientWait = () => rate(family('client_backpressure_seconds_total', MODEL));

/** 1 for an upstream that answers probes, 0 for one that does not, and 2 for one that answers them and nothing else. */
function upOrSilent(): string {
  const by = ['instance', 'upstream'];
  const of = (name: string) => max(family(name, UPSTREAM), ...by);
  const same = `on (${by.join(', ')})`;
  const silent = `clamp_max((${of('silence_ratio')} > bool 1) + ${same} (${of('waiting_seconds')} > bool 300), 1)`;
  return `(${of('upstream_up')} * ${same} (1 + ${silent})) or ${of('upstream_up')}`;
}

const ttftWithin = (range: string) => withinOf(range, '$ttft_slo', 'time_to_first_token_seconds', MODEL);
const gapWithin = (range: string) => withinOf(range, '$gap_slo', 'chunk_gap_seconds', MODEL, 'at="upstream"');

// An answer that is whole is green, one that was cut yellow or orange, one that broke off red.
const FINISH_REASONS = {
  stop: 'green',
  tool_calls: 'blue',
  length: 'yellow',
  context: 'orange',
  none: 'dark-red',
  error: 'red',
  content_filter: 'purple',
  load: 'light-blue',
  unload: 'dark-blue',
  other: 'text',
};

/** The burn rate over two windows, and the error budget that is left of the range shown. */
function burn(name: string, things: string, target: string, within: (range: string) => string): Panel[] {
  const rate = (range: string) => `(1 - ${within(range)}) / (1 - ${target})`;
  return [
    ...['1h', '6h'].map((window) =>
      number({
        title: `${name} burn rate, ${window.replace('h', ' h')}`,
        description: `Share of ${things} above the objective in the last ${window.replace('h', ' h')}, divided by the share that the target allows. 1 uses up the error budget exactly. The alerts fire at 6 and at 14.4.`,
        unit: 'none',
        decimals: 1,
        width: 4,
        expr: rate(window),
        limits: { look: 1, wrong: 6, worst: 14.4 },
      }),
    ),
    number({
      title: `${name} error budget left`,
      description: `Error budget of the selected time range that is left. Below 0, more ${things} were above the objective than the target allows.`,
      unit: 'percentunit',
      decimals: 0,
      width: 4,
      expr: `1 - ${rate('$__range')}`,
      limits: { look: 0.5, wrong: 0, below: true },
    }),
  ];
}

export const overview: Board = {
  uid: 'streamgauge-overview',
  title: 'Streamgauge / Overview',
  description: 'Is Ollama up, how high is the load, how fast are the answers, and what fails?',
  variables: [
    UPSTREAMS,
    MODELS,
    {
      kind: 'choice',
      name: 'ttft_slo',
      label: 'TTFT s',
      description: 'Longest time to first token (TTFT) that meets the objective. The choices are the bounds of the histogram.',
      values: ['0.25', '0.5', '1', '2.5', '5', '10', '20', '40'],
      start: '2.5',
    },
    {
      kind: 'choice',
      name: 'ttft_target',
      label: 'TTFT target',
      description: 'Share of streams that should meet the TTFT objective.',
      hidden: true,
      values: ['0.9', '0.95', '0.99', '0.999'],
      start: '0.95',
    },
    {
      kind: 'choice',
      name: 'gap_slo',
      label: 'Gap s',
      description: 'Longest gap between chunks that meets the objective. The choices are the bounds of the histogram.',
      values: ['0.02', '0.03', '0.04', '0.06', '0.1', '0.15', '0.25', '0.5', '1'],
      start: '0.25',
    },
    {
      kind: 'choice',
      name: 'gap_target',
      label: 'Gap target',
      description: 'Share of gaps that should meet the gap objective.',
      hidden: true,
      values: ['0.9', '0.95', '0.99', '0.999'],
      start: '0.99',
    },
  ],
  stats: [
    number({
      title: 'Sidecars down',
      description:
        'Sidecars that do not answer the scrapes of Prometheus, and sidecars that answered in the selected time range and are no longer a target. While a sidecar is down, the other tiles do not include it.',
      unit: 'none',
      decimals: 0,
      width: 4,
      expr: sidecarsDown(),
      limits: { wrong: 1 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Upstreams down',
      description: 'Selected upstreams that do not answer the probes of a sidecar.',
      unit: 'none',
      decimals: 0,
      width: 4,
      expr: orZeroOf(`count(${family('upstream_up', UPSTREAM)})`, `count(${family('upstream_up', UPSTREAM)} == 0)`),
      limits: { wrong: 1 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Pending and firing alerts',
      description:
        'Alerts of prometheus/rules/alerts.yml that fire now or are pending: their condition holds, and they fire if it continues to hold. The table below names them.',
      unit: 'none',
      decimals: 0,
      width: 4,
      expr: orZeroOf(
        `count(${select('up')})`,
        `count(${select('ALERTS', 'alertname=~"Streamgauge.*"')})`,
      ),
      limits: { look: 1, wrong: 1000 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Failed / all requests',
      description:
        'Requests that failed because of Ollama or the connection to it, divided by all requests that ended, in the last minutes. A failure is an error inside a stream, a truncated stream, a 5xx response or no answer. Client errors, refused requests and clients that left are not failures: see the other tiles.',
      unit: 'percentunit',
      decimals: 1,
      width: 4,
      expr: ratio(`(${orZero(sum(requests(FAILED)))})`, sum(requests())),
      limits: { look: 0.01, wrong: 0.05 },
    }),
    number({
      title: 'Left before first token',
      description:
        'Generations whose client left before the first token, divided by all generations that ended in the last five minutes, at the upstream with the highest share. Fewer than three count as none. If the clients of a single upstream leave, it is wedged or overloaded, although it answers probes. "Is a stream stuck?" below shows which.',
      unit: 'percentunit',
      decimals: 1,
      width: 4,
      expr: leftShare,
      limits: { look: 0.02, wrong: 0.1 },
    }),
    number({
      title: 'Worst silence / usual',
      description:
        'Time without data from an upstream, divided by the longest silence that is usual for the requests that run there: the highest value in the selected time range. Above 1, the upstream was wedged. "Is a stream stuck?" below shows when, and which.',
      unit: 'none',
      decimals: 2,
      width: 4,
      expr: max(`max_over_time(${family('silence_ratio', UPSTREAM)}[$__range])`),
      limits: { look: 0.5, wrong: 1 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Time to first token, p95',
      description:
        '95 % of the streams in the selected time range had their first content within this time after the request. A stream whose client left before is not included: see "Left before first token". The colors are for the objective of 2.5 s.',
      unit: 's',
      width: 4,
      expr: quantileOfRange(0.95, 'time_to_first_token_seconds', [MODEL]),
      limits: { look: 2.5, wrong: 10 },
    }),
    number({
      title: 'Gap between chunks, p99',
      description:
        '99 % of the chunks in the selected time range arrived from Ollama within this time after the previous chunk. The colors are for the objective of 0.25 s.',
      unit: 's',
      width: 4,
      expr: quantileOfRange(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"']),
      limits: { look: 0.25, wrong: 1 },
    }),
    number({
      title: 'Longest wait for a record',
      description:
        'Longest time for which a request had no answer, in the selected time range. It does not fall back when the client leaves. A large model can take minutes to load. After five minutes a request is stuck, or the queue inside Ollama is long.',
      unit: 's',
      decimals: 0,
      width: 4,
      expr: max(`max_over_time(${family('waiting_seconds', UPSTREAM)}[$__range])`),
      limits: { look: 60, wrong: 300 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Refused / all requests',
      description:
        'Requests that the sidecar refused, divided by all requests that ended, in the last minutes. Reasons are a key, a limit of a caller and a full queue. "Refused requests per minute by caller" below shows whose they are.',
      unit: 'percentunit',
      decimals: 1,
      width: 4,
      expr: ratio(`(${orZero(sum(requests(REFUSED)))})`, sum(requests())),
      limits: { look: 0.01, wrong: 0.1 },
    }),
    number({
      title: 'Model loads in 10 minutes',
      description:
        'Models that Ollama loaded into memory in the last ten minutes, at the upstream with the most loads. Each load delays a first token. Above 3 for a while, a model is loaded again and again: "Model loads by model and cause" below says why.',
      unit: 'none',
      decimals: 0,
      width: 4,
      expr: `max(${loads('upstream')} or 0 * ${family('upstream_up', UPSTREAM)})`,
      limits: { look: 3, wrong: 10 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Client wait / stream time',
      description:
        'Time in which streams waited for a slow client, divided by the total time of the streams, in the last minutes. If it is high, the client or the network to it is slow, not Ollama. "Wait for slow clients by caller" below says whose.',
      unit: 'percentunit',
      decimals: 1,
      width: 4,
      expr: ratio(`(${orZero(sum(clientWait()))})`, `(${sum(rate(family('stream_seconds_total', UPSTREAM)))} > 0)`),
      limits: { look: 0.1, wrong: 0.25 },
    }),
    number({
      title: 'GPUs with throttled clocks',
      description:
        'GPUs whose clocks the temperature, the power supply or the board limits. The normal power limit does not count.',
      unit: 'none',
      decimals: 0,
      width: 4,
      expr: `sum(${max(family('gpu_clock_limit', THROTTLED), 'instance', 'gpu')})`,
      limits: { wrong: 1 },
      empty: 'No GPU seen',
    }),
    number({
      title: 'Scheduler lag, p99',
      description:
        'Delay with which the runtime that forwards streams wakes, 99th percentile of the last minutes. Up to 1.1 ms is the resolution of its timer. Above 10 ms, the machine of the sidecar lacks CPU time.',
      unit: 's',
      width: 4,
      expr: quantile(0.99, 'runtime_lag_seconds', ['runtime!="admin"']),
      limits: { look: 0.01, wrong: 0.1 },
      empty: 'No sidecar',
    }),
    number({
      title: 'Requests per minute',
      description: 'Requests that ended, per minute, on all routes.',
      unit: 'reqpm',
      decimals: 1,
      width: 4,
      expr: perMinute(),
    }),
    number({
      title: 'Requests in flight',
      description: 'Requests whose last byte has not been sent yet.',
      unit: 'none',
      width: 4,
      expr: sum(family('requests_in_flight', UPSTREAM)),
      empty: 'No sidecar',
    }),
    number({
      title: 'Queued requests',
      description:
        'Requests that wait in the sidecar for a slot of a selected upstream. Only upstreams with `max_streams` have a queue.',
      unit: 'none',
      width: 4,
      expr: sum(family('queue_depth')),
      empty: 'No queue',
    }),
    number({
      title: 'Output tokens per second',
      description: 'Output tokens per second of all streams. Ollama reports the count at the end of each stream.',
      unit: 'tokens/s',
      decimals: 1,
      width: 4,
      expr: sum(rate(family('tokens_total', MODEL, 'kind="output"'))),
    }),
  ],
  rows: [
    [
      'Is Ollama up, and what is wrong?',
      list({
        title: 'Alerts, pending and firing',
        height: 7,
        width: 14,
        description:
          'Each alert of prometheus/rules/alerts.yml whose condition holds now. It is pending until the condition has held for as long as the alert requires, and then it fires. The link "Alerts" explains each of them.',
        unit: 'none',
        // One column for the labels that say where, because most alerts have few of them.
        expr: `label_join(max by (alertname, alertstate, severity, instance, upstream, model, gpu, reason, collector) (${select('ALERTS', 'alertname=~"Streamgauge.*"')}), "where", " ", "upstream", "model", "reason", "collector", "instance")`,
        value: 'Value',
        hide: ['Value', 'instance', 'upstream', 'model', 'reason', 'collector'],
        widths: { alertname: 260, alertstate: 90, severity: 90, where: 380 },
        colors: {
          alertstate: { firing: 'red', pending: 'orange' },
          severity: { critical: 'red', warning: 'orange', info: 'blue' },
        },
        sort: 'alertstate',
        empty: 'No alert',
      }),
      states({
        title: 'State of each sidecar and upstream',
        height: 7,
        width: 10,
        description:
          'A sidecar is up if Prometheus can scrape it. An upstream is up if it answers the probes of the sidecar. It is silent if it answers them, and either sends nothing for longer than usual, or a request has waited for five minutes: see "Is a stream stuck?". A sidecar that is down says nothing about its upstreams.',
        unit: 'none',
        off: ['down', 'red'],
        on: ['up', 'green'],
        more: [['silent', 'red']],
        queries: [
          ['sidecar {{instance}}', max(select('up'), 'instance')],
          ['upstream {{upstream}} of {{instance}}', upOrSilent()],
        ],
        empty: 'No sidecar',
      }),
    ],
    [
      'Is a stream stuck?',
      lines({
        title: 'Clients that left before the first token',
        description:
          'Generations per minute whose client left before the first token arrived, by upstream. "none" are clients that left before an upstream was chosen. A time to first token counts none of them.',
        width: 8,
        unit: 'reqpm',
        min: 0,
        queries: [
          ['{{upstream}}', `60 * ${sum(rate(family('left_before_first_token_total', UPSTREAM, MODEL)), 'upstream')}`],
        ],
      }),
      lines({
        title: 'Longest wait for a first record',
        softMax: 1,
        description:
          'Age of the oldest request that has no answer yet. A large model can take minutes to load. After five minutes the request is stuck, or the queue inside Ollama is long.',
        width: 8,
        unit: 's',
        min: 0,
        limits: { wrong: 300 },
        queries: [['{{upstream}}', max(family('waiting_seconds', UPSTREAM), 'upstream')]],
      }),
      lines({
        title: 'Silence / usual longest silence',
        description:
          'Time without data from an upstream, divided by the longest silence that is usual for the requests that run there. Above 1, the upstream is wedged. A silence during a tool call alone does not count.',
        width: 8,
        unit: 'none',
        min: 0,
        limits: { wrong: 1 },
        queries: [['{{upstream}}', max(family('silence_ratio', UPSTREAM), 'upstream')]],
      }),
      lines({
        title: 'Silence of running streams',
        softMax: 1,
        description:
          'Age of the newest chunk of an upstream while streams past their first record run there. All its streams have been silent for that long. Several seconds are long, unless a stream writes a tool call.',
        width: 12,
        unit: 's',
        min: 0,
        queries: [['{{upstream}}', max(family('silent_seconds', UPSTREAM), 'upstream')]],
      }),
      lines({
        title: 'Wedged upstreams and retries',
        description:
          'Times per minute that an upstream was found to be wedged, and requests per minute that went on to another upstream because this one could not be reached or lacked the model.',
        width: 12,
        unit: 'none',
        min: 0,
        queries: [
          ['wedged {{upstream}}', `60 * ${sum(rate(family('upstream_wedged_total', UPSTREAM)), 'upstream')}`],
          [
            '{{reason}} {{upstream}}',
            `60 * ${sum(rate(family('upstream_retries_total', UPSTREAM)), 'upstream', 'reason')}`,
          ],
        ],
      }),
    ],
    [
      'Which caller is slow, is refused, or reads slowly?',
      table({
        title: 'Callers',
        height: 10,
        description:
          'The ten callers with the most requests that ended in the selected time range, and the five whose clients made streams wait longest: the shares that were refused, that failed, and whose client left, the mean time to first token, and the time for which streams waited for a client that did not read. "Callers and limits" has their tokens and limits.',
        unit: 'none',
        width: 24,
        labels: ['caller'],
        sort: { by: 'requests', desc: true },
        columns: [
          { name: 'requests', unit: 'none', decimals: 0, expr: ofInterest },
          { name: 'failed', unit: 'percentunit', decimals: 1, expr: callerShare(FAILED), limits: { look: 0.01, wrong: 0.05 } },
          { name: 'refused', unit: 'percentunit', decimals: 1, expr: callerShare(REFUSED), limits: { look: 0.01, wrong: 0.1 } },
          { name: 'client left', unit: 'percentunit', decimals: 1, expr: callerShare('outcome="client_abort"'), limits: { look: 0.1, wrong: 0.3 } },
          { name: 'TTFT mean', unit: 's', expr: callerTtft(increase), limits: { look: 2.5, wrong: 10 } },
          { name: 'waited for the client', unit: 's', decimals: 0, expr: `${callerWait} and on (caller) (${callerRequests} > 0 or ${callerWait} > 1)`, limits: { look: 60, wrong: 300 } },
        ],
      }),
      lines({
        title: 'Time to first token by caller, mean',
        height: 9,
        width: 8,
        description:
          'Mean, not a percentile: the summed time to first token of the streams of a caller that ended, divided by their number. The panel shows the ten callers with the highest mean in the selected time range.',
        unit: 's',
        min: 0,
        queries: [
          [
            '{{caller}}',
            tenCallers(
              callerTtft(rate),
              ratio(atEnd('caller_first_token_seconds_total'), `(${atEnd('caller_first_tokens_total')} > 0)`),
            ),
          ],
        ],
      }),
      lines({
        title: 'Refused requests per minute by caller',
        height: 9,
        width: 8,
        description:
          'Requests that the sidecar refused, per minute, by caller: a key, a limit of the caller or a full queue. The panel shows the ten callers with the most refusals in the selected time range. "Callers and limits" shows the reasons and the limits.',
        unit: 'reqpm',
        min: 0,
        queries: [
          [
            '{{caller}}',
            tenCallers(
              `60 * ${sum(rate(family('caller_requests_total', REFUSED)), 'caller')}`,
              `${atEnd('caller_requests_total', REFUSED)} > 0`,
            ),
          ],
        ],
        empty: 'No refusal',
      }),
      lines({
        title: 'Wait for slow clients by caller',
        height: 9,
        width: 8,
        description:
          'Stream-seconds per second in which a client did not read data that was available. 1 means that one stream waits for its client all the time. Ollama continues until the buffers are full. The panel shows the ten callers with the longest waits in the selected time range.',
        unit: 'none',
        decimals: 2,
        min: 0,
        queries: [
          [
            '{{caller}}',
            tenCallers(
              sum(rate(family('caller_backpressure_seconds_total')), 'caller'),
              atEnd('caller_backpressure_seconds_total'),
            ),
          ],
        ],
      }),
    ],
    [
      'How high is the load?',
      lines({
        title: 'Requests per minute by route',
        height: 9,
        description: 'Requests that ended, per minute, by route.',
        unit: 'reqpm',
        stacked: true,
        min: 0,
        queries: [['{{route}}', perMinute('route')]],
      }),
      lines({
        title: 'Requests in flight and queued',
        height: 9,
        description:
          'Requests at each upstream, and requests that wait in the sidecar for a slot of any upstream. Without `max_streams`, no request waits. A growing queue needs more capacity or limits.',
        unit: 'none',
        min: 0,
        queries: [
          ['in flight, {{upstream}}', sum(family('requests_in_flight', UPSTREAM), 'upstream')],
          ['queued', sum(family('queue_depth'))],
        ],
      }),
      lines({
        title: 'Sidecars and upstreams up',
        height: 10,
        description:
          'Sidecars that Prometheus could scrape, sidecars that it could not scrape, and upstreams that answer or do not answer the probes of a sidecar. Two sidecars with one Ollama each have two upstreams. A sidecar that is down says nothing about its upstreams.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [
          ['sidecars up', sum(select('up'))],
          ['sidecars down', `count(${select('up')} == 0) or 0 * count(${select('up')})`],
          ['upstreams up', sum(family('upstream_up', UPSTREAM))],
          [
            'upstreams down',
            `count(${family('upstream_up', UPSTREAM)} == 0) or 0 * count(${family('upstream_up', UPSTREAM)})`,
          ],
        ],
        empty: 'No sidecar',
      }),
      lines({
        title: 'Tokens per second by kind',
        height: 10,
        description:
          'Tokens per second. Ollama reports the count at the end of a stream, so a long stream appears when it ends. Cached prompt tokens are part of the prompt tokens. Only newer versions of Ollama report them.',
        unit: 'tokens/s',
        min: 0,
        queries: [['{{kind}}', sum(rate(family('tokens_total', MODEL)), 'kind')]],
      }),
    ],
    [
      'Do the streams meet their objectives?',
      ...burn('TTFT', 'streams', '$ttft_target', ttftWithin),
      ...burn('Gap', 'gaps', '$gap_target', gapWithin),
    ],
    [
      'How long do the first token and the whole response take?',
      lines({
        title: 'Time to first token',
        description:
          'Time from a request to its first content. It includes queueing, loading the model and evaluating the prompt. The row "Where does the time go?" of Efficiency shows each part.',
        unit: 's',
        min: 0,
        height: 10,
        queries: [
          ...[0.5, 0.95, 0.99].map((q): Query => [`p${q * 100}`, quantile(q, 'time_to_first_token_seconds', [MODEL])]),
          ['objective', `0 * count(${select('up')}) + $ttft_slo`],
        ],
      }),
      lines({
        title: 'Share of streams with TTFT up to $ttft_slo s',
        height: 10,
        description: 'Streams whose first content came within the selected objective, divided by all streams.',
        unit: 'percentunit',
        max: 1,
        queries: [['TTFT up to $ttft_slo s', within('$ttft_slo', 'time_to_first_token_seconds', MODEL)]],
      }),
      lines({
        title: 'Time to first token by model, p95',
        height: 9,
        description:
          '95th percentile by model. A high value of one model means that it is large or is reloaded often.',
        unit: 's',
        min: 0,
        queries: [['{{model}}', quantile(0.95, 'time_to_first_token_seconds', [MODEL], 'model')]],
      }),
      lines({
        title: 'Duration of generations',
        height: 9,
        description:
          'Time from a request that generates to the last byte of its response. Requests that were refused before their model was known are not included. Long answers take long: compare with the tokens.',
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'request_duration_seconds', [MODEL, KNOWN, GENERATION])]),
      }),
    ],
    [
      'Which model is slow, fails, or is loaded again and again?',
      table({
        title: 'Models',
        height: 10,
        description:
          'Each model in the selected time range: requests, the share that failed, time to first token, the slowest gaps between chunks, and output tokens. Requests that were refused before their model was known are not included. A link in the first column selects the model.',
        unit: 'none',
        width: 24,
        labels: ['model'],
        sort: { by: 'requests', desc: true },
        link: 'model',
        columns: [
          { name: 'requests', unit: 'none', decimals: 0, expr: `topk(10, ${sum(ended(), 'model')} > 0)` },
          {
            name: 'failed',
            unit: 'percentunit',
            decimals: 1,
            expr: orZeroOf(
              sum(ended(), 'model'),
              `${sum(ended(FAILED), 'model')} / (${sum(ended(), 'model')} > 0)`,
            ),
            limits: { look: 0.01, wrong: 0.05 },
          },
          { name: 'TTFT p50', unit: 's', expr: quantileOfRange(0.5, 'time_to_first_token_seconds', [MODEL], 'model') },
          { name: 'TTFT p95', unit: 's', expr: quantileOfRange(0.95, 'time_to_first_token_seconds', [MODEL], 'model') },
          { name: 'gap p99', unit: 's', expr: quantileOfRange(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"'], 'model') },
          { name: 'output tokens', unit: 'short', decimals: 1, expr: sum(increase(family('tokens_total', MODEL, 'kind="output"')), 'model') },
        ],
      }),
      lines({
        title: 'Model loads by model and cause',
        height: 9,
        width: 24,
        description:
          'Models that Ollama loaded in the ten minutes before each point. "expired": keep_alive had ended. "evicted": other models took the memory. "context" and "options": callers ask for different ones. "restart": Ollama had restarted. "first" is harmless.',
        unit: 'none',
        min: 0,
        queries: [['{{model}}, {{cause}}', loads('model', 'cause')]],
        empty: 'No load',
      }),
    ],
    [
      'Does one sidecar differ from the others?',
      table({
        title: 'Sidecars',
        height: 9,
        description:
          'Each sidecar: requests and failures in the selected time range, requests that run and wait now, output tokens, time to first token, gaps between chunks, and whether the store decides about shared limits (1) or not (0). A link in the first column selects the sidecar.',
        unit: 'none',
        width: 24,
        labels: ['instance'],
        sort: { by: 'requests', desc: true },
        link: 'instance',
        columns: [
          { name: 'requests', unit: 'none', decimals: 0, expr: sum(increase(family('requests_total', UPSTREAM, MODEL)), 'instance') },
          {
            name: 'failed',
            unit: 'percentunit',
            decimals: 1,
            expr: orZeroOf(
              sum(increase(family('requests_total', UPSTREAM, MODEL)), 'instance'),
              `${sum(increase(family('requests_total', UPSTREAM, MODEL, FAILED)), 'instance')} / (${sum(increase(family('requests_total', UPSTREAM, MODEL)), 'instance')} > 0)`,
            ),
            limits: { look: 0.01, wrong: 0.05 },
          },
          { name: 'running', unit: 'none', decimals: 0, expr: sum(family('requests_running'), 'instance') },
          { name: 'waiting', unit: 'none', decimals: 0, expr: sum(family('requests_waiting'), 'instance') },
          { name: 'output tokens', unit: 'short', decimals: 1, expr: sum(increase(family('tokens_total', MODEL, 'kind="output"')), 'instance') },
          { name: 'TTFT p95', unit: 's', expr: quantileOfRange(0.95, 'time_to_first_token_seconds', [MODEL], 'instance') },
          { name: 'gap p99', unit: 's', expr: quantileOfRange(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"'], 'instance') },
          { name: 'limits by the store', unit: 'none', decimals: 0, expr: max(family('shared_mode', 'mode="shared"'), 'instance'), limits: { wrong: 0.5, below: true } },
        ],
        empty: 'No sidecar',
      }),
      lines({
        title: 'Time to first token by sidecar, p95',
        description:
          '95th percentile of each sidecar, and of all sidecars of the job together, from their summed buckets (recorded over 5 minutes).',
        width: 8,
        unit: 's',
        min: 0,
        queries: [
          ['{{instance}}', quantile(0.95, 'time_to_first_token_seconds', [MODEL], 'instance')],
          ['all of {{job}}', ofJob('job:streamgauge_time_to_first_token_seconds:p95_rate5m')],
        ],
      }),
      lines({
        title: 'Gap between chunks by sidecar, p99',
        description:
          '99th percentile of each sidecar, and of all sidecars of the job together, from their summed buckets (recorded over 5 minutes).',
        width: 8,
        unit: 's',
        min: 0,
        queries: [
          ['{{instance}}', quantile(0.99, 'chunk_gap_seconds', [MODEL, 'at="upstream"'], 'instance')],
          ['all of {{job}}', ofJob('job:streamgauge_chunk_gap_seconds:p99_rate5m')],
        ],
      }),
      lines({
        title: 'True speedup by upstream and of all',
        description:
          'Tokens in the hour before each point, divided by those that a single stream of each upstream would have made in the same time (recorded). Upstreams with one name count as one. An upstream counts if it had ten seconds with a single stream. Each Ollama needs a single sidecar: two sidecars do not see each other’s streams.',
        width: 8,
        unit: 'none',
        decimals: 2,
        min: 0,
        queries: [
          ['{{upstream}}', ofJob('job_upstream:streamgauge_true_speedup:rate1h', UPSTREAM)],
          ['all of {{job}}', ofJob('job:streamgauge_true_speedup:rate1h')],
          ['all of {{job}}, {{streams}} streams', ofJob('job_streams:streamgauge_true_speedup:rate1h')],
        ],
        empty: 'No time with a single stream',
      }),
    ],
    [
      'How evenly do tokens arrive?',
      lines({
        title: 'Gap between chunks',
        description:
          'Time between two chunks with content, as they arrive from Ollama. A stream with 50 tokens per second has a gap of 20 ms.',
        unit: 's',
        min: 0,
        height: 10,
        queries: [
          ...[0.5, 0.95, 0.99].map(
            (q): Query => [`p${q * 100}`, quantile(q, 'chunk_gap_seconds', [MODEL, 'at="upstream"'])],
          ),
          ['objective', `0 * count(${select('up')}) + $gap_slo`],
        ],
      }),
      lines({
        title: 'Share of gaps up to $gap_slo s',
        height: 10,
        description:
          'Gaps that are within the selected objective, divided by all gaps. Users see a stream falter when the share is low.',
        unit: 'percentunit',
        max: 1,
        queries: [['gap up to $gap_slo s', within('$gap_slo', 'chunk_gap_seconds', MODEL, 'at="upstream"')]],
      }),
    ],
    [
      'Which requests fail, and how?',
      lines({
        title: 'Requests per minute by outcome',
        height: 14,
        description: 'Requests that ended, per minute. Each request has exactly one outcome. docs/reference/metrics.md explains all outcomes.',
        unit: 'reqpm',
        stacked: true,
        min: 0,
        queries: [['{{outcome}}', perMinute('outcome')]],
      }),
      lines({
        title: 'Failed requests per minute by model',
        height: 14,
        description:
          'Failed requests per minute: an error inside a stream, a truncated stream, a 5xx response or no answer.',
        unit: 'reqpm',
        min: 0,
        queries: [['{{model}}', orZeroOf(sum(requests(), 'model'), `60 * ${sum(requests(FAILED), 'model')}`)]],
      }),
      lines({
        title: 'Generations per minute by finish reason',
        height: 14,
        description:
          'Generations that ended, per minute, by the reason why the model stopped. "length" and "context" are answers that were cut: by the limit of the request, or by the end of the context. "none" are streams that broke off and clients that left.',
        unit: 'reqpm',
        stacked: true,
        colors: FINISH_REASONS,
        min: 0,
        queries: [
          [
            '{{reason}}',
            unlessNeverCounted(`60 * ${sum(rate(family('finish_total', MODEL)), 'reason')}`, family('finish_total', MODEL), 'reason'),
          ],
        ],
      }),
      lines({
        title: 'Responses per minute by status code',
        height: 14,
        description:
          'Responses per minute by the code that the client received. An error inside a stream has code 200.',
        unit: 'reqpm',
        stacked: true,
        min: 0,
        queries: [['{{code}}', `60 * ${sum(rate(family('responses_total')), 'code')}`]],
      }),
      lines({
        title: 'Unmeasured and rejected events per second',
        height: 14,
        width: 24,
        description:
          'Events per second: generations that ended without token counts or with counts lower than the tokens that arrived, records that were not scanned, requests forwarded before their model was found, malformed requests, refused connections, lost clients, requests refused at the admin address, models whose label another model took, and lost lines of the request log. All should be close to 0.',
        unit: 'ops',
        min: 0,
        queries: [
          ['no token counts', sum(rate(family('usage_missing_total')))],
          ['token counts too low', sum(rate(family('usage_understated_total')))],
          ['record not scanned: {{reason}}', sum(rate(family('records_unscanned_total')), 'reason')],
          ['body not read ahead: {{reason}}', sum(rate(family('read_ahead_stopped_total')), 'reason')],
          ['malformed request', sum(rate(family('requests_malformed_total')))],
          ['model label taken', sum(rate(family('model_labels_dropped_total')))],
          ['connection refused', sum(rate(family('connections_refused_total')))],
          ['client lost', sum(rate(family('connections_vanished_total')))],
          ['admin address: {{reason}}', sum(rate(family('admin_requests_refused_total')), 'reason')],
          ['request log: {{result}}', sum(rate(family('request_log_lines_total', 'result!="written"')), 'result')],
        ],
      }),
    ],
    [
      'Are prompts cut?',
      lines({
        title: 'Prompts probably cut per minute by model',
        height: 9,
        description:
          'Requests per minute whose prompt Ollama probably cut, because it did not fit into the context. Ollama says nothing about it, and the answers are often nonsense. Raise num_ctx, or shorten the prompts.',
        unit: 'reqpm',
        min: 0,
        queries: [['{{model}}', `60 * ${sum(rate(family('prompt_truncation_suspected_total', MODEL)), 'model')}`]],
      }),
      lines({
        title: 'Context fill by model, p95',
        height: 9,
        description:
          'Tokens of the prompt and the answer, divided by the context length, at the end of a request: 95th percentile. Near 1, the context is too small for some requests.',
        unit: 'percentunit',
        min: 0,
        queries: [['{{model}}', quantile(0.95, 'context_fill_ratio', [MODEL], 'model')]],
      }),
    ],
    [
      'How much time does the sidecar add, and is it healthy?',
      lines({
        title: 'Time added per chunk',
        height: 9,
        description:
          'Time from the arrival of a chunk to the delivery of its frame, without delay by shaping. "scan" is the part that reading one record takes.',
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
        title: 'Open connections by listener',
        height: 9,
        description: 'Open connections by listener.',
        unit: 'none',
        min: 0,
        queries: [['{{listener}}', sum(family('connections_open'), 'listener')]],
      }),
      number({
        title: 'Panics',
        description: 'Panics caught in the selected time range. Each panic is a bug: report it.',
        unit: 'none',
        width: 6,
        decimals: 0,
        expr: sum(`increase(${family('panics_total')}[$__range])`),
        limits: { wrong: 1 },
      }),
      number({
        title: 'Last configuration reload',
        description:
          '"Active" if the configuration and the keys that were read last are in use. "Rejected" if a file was invalid; the previous configuration or keys stay active.',
        unit: 'none',
        width: 6,
        expr: `${min(family('config_last_reload_success'))} * ${min(family('keys_last_reload_success'))}`,
        mappings: { '0': ['Rejected', 'red'], '1': ['Active', 'green'] },
        empty: 'Not reported',
      }),
      number({
        title: 'Last configuration read',
        description: 'Time at which the configuration was last read.',
        unit: 'dateTimeFromNow',
        width: 6,
        expr: `${max(family('config_last_reload_timestamp_seconds'))} * 1000`,
        empty: 'Not reported',
      }),
      number({
        title: 'Keys last read',
        description:
          'Time at which the keys were last read: with the configuration, or when `access.keys_file` or the store changed.',
        unit: 'dateTimeFromNow',
        width: 6,
        expr: `${max(family('keys_last_reload_timestamp_seconds'))} * 1000`,
        empty: 'Not reported',
      }),
      list({
        title: 'Sidecar versions',
        height: 5,
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
