import { Board, Variable } from './board';
import { lines, number, states, table } from './panel';
import {
  CALLER,
  family,
  increase,
  max,
  orZero,
  orZeroOf,
  quantile,
  rate,
  ratio,
  stateOf,
  sum,
  unlessNeverCounted,
} from './query';

const CALLERS: Variable = {
  kind: 'label',
  name: 'caller',
  label: 'Caller',
  description: 'Configured name of the key. "anonymous" stands for requests without a key.',
  from: 'streamgauge_caller_requests_total',
};
const REFUSED = 'decision="refused"';
// The reasons for changes of the automatic limit.
const CHANGES: [first: [reason: string, color: string], ...others: [reason: string, color: string][]] = [
  ['start', 'blue'],
  ['raised', 'green'],
  ['probe', 'light-blue'],
  ['throughput', 'orange'],
  ['hidden_queue', 'orange'],
  ['floor', 'orange'],
];
// The mode of shared limits: the store decides, or its substitute.
const DECIDES = { shared: 'green', store: 'green', memory: 'light-blue', local: 'orange', open: 'yellow', closed: 'red' };
// Not green, which means that all is well.
const REASONS = {
  requests: 'purple',
  tokens: 'blue',
  queue_full: 'orange',
  queue_timeout: 'red',
  no_key: 'yellow',
  unknown_key: 'dark-yellow',
  several_keys: 'super-light-yellow',
  route: 'light-blue',
  model: 'dark-blue',
  shared: 'dark-red',
};
// The tokens that a quota counts: prompt tokens without the cached ones, and output tokens.
const spentOver = (range: string, ...by: string[]) => {
  const tokens = (kind: string) => sum(`rate(${family('caller_tokens_total', CALLER, kind)}[${range}])`, ...by);
  const cached = orZeroOf(tokens('kind="prompt"'), tokens('kind="prompt_cached"'));
  return `(${tokens('kind=~"prompt|output"')} - (${cached}))`;
};
const spent = (...by: string[]) => spentOver('$__rate_interval', ...by);
// Each caller against the limit of its own key, which each sidecar applies by itself. Over five minutes, because a limit
// allows a burst.
const limit = max(family('caller_limit_per_second', CALLER, 'kind="tokens"'), 'job', 'instance', 'caller');
const quotaUse = max(ratio(spentOver('5m', 'job', 'instance', 'caller'), `(${limit} > 0)`), 'caller');
// The ten callers that used most of their limits in the range shown, few requests or many.
const closest = `topk(10, ${sum(`increase(${family('caller_tokens_total', CALLER, 'kind=~"prompt|output"')}[$__range] @ end())`, 'caller')} / (${max(`${family('caller_limit_per_second', CALLER, 'kind="tokens"')} @ end()`, 'caller')} > 0))`;
const share = (outcome: string) =>
  `${sum(increase(family('caller_requests_total', CALLER, outcome)), 'caller')} / (${sum(increase(family('caller_requests_total', CALLER)), 'caller')} > 0)`;
const perMinute = (kind: string) => `60 * ${max(family('caller_limit_per_second', CALLER, `kind="${kind}"`), 'caller')}`;
const FAILED = 'outcome=~"in_band_error|late_error|truncated|upstream_error"';
// The same ten callers at every point of the plot: `topk` alone would choose anew for each.
const tenWithMost = (inner: string, counter: string) =>
  `(${inner}) and on (caller) topk(10, sum by (caller) (increase(${counter}[$__range] @ end())) > 0)`;
const busiest = (inner: string) => tenWithMost(inner, family('caller_requests_total', CALLER));
const incomplete = family('caller_requests_total', CALLER, 'outcome!="complete"');
const refusedShare = ratio(
  `(${orZero(sum(rate(family('admission_total', REFUSED))))})`,
  sum(rate(family('admission_total'))),
);

export const callers: Board = {
  uid: 'streamgauge-callers',
  title: 'Streamgauge / Callers and limits',
  description: 'Which callers send requests, which requests wait or are refused, how much quota is used, and how fast are the streams?',
  variables: [CALLERS],
  stats: [
    number({
      title: 'Active callers',
      description: 'Callers with at least one ended request in the selected time range.',
      unit: 'none',
      decimals: 0,
      expr: `count(${sum(increase(family('caller_requests_total', CALLER)), 'caller')} > 0)`,
    }),
    number({
      title: 'Requests per minute',
      description: 'Requests of the selected callers that ended, per minute.',
      unit: 'reqpm',
      decimals: 1,
      expr: `60 * ${sum(rate(family('caller_requests_total', CALLER)))}`,
    }),
    number({
      title: 'Quota tokens per minute',
      description:
        'Tokens of the selected callers per minute, counted as quotas count them: output tokens plus prompt tokens, without cached prompt tokens.',
      unit: 'tokens/min',
      decimals: 0,
      expr: `60 * ${spent()}`,
    }),
    number({
      title: 'Refused / all requests',
      description:
        'Requests that admission refused, divided by all requests. Reasons are a missing or unknown key, a closed route, a request or token limit, a full queue and a queue timeout.',
      unit: 'percentunit',
      decimals: 1,
      expr: refusedShare,
      limits: { look: 0.01, wrong: 0.1 },
    }),
    number({
      title: 'Queued requests',
      description:
        'Requests that wait in the sidecar for a slot. Without `max_streams`, no request waits.',
      unit: 'none',
      decimals: 0,
      expr: sum(family('queue_depth')),
      empty: 'No sidecar',
    }),
    number({
      title: 'Queue wait, p95',
      description: 'Time in the sidecar’s queue, 95th percentile of all requests that need a slot. A request that finds a free slot counts as 0.',
      unit: 's',
      expr: quantile(0.95, 'queue_wait_seconds'),
      limits: { look: 5, wrong: 30 },
      empty: 'No queue',
    }),
    number({
      title: 'Highest token limit use',
      description:
        'Tokens of each caller in the last five minutes, divided by the token limit of its own key for that time; the highest of these shares. Near 100 % the caller has to wait.',
      unit: 'percentunit',
      decimals: 0,
      expr: `max(${quotaUse})`,
      limits: { look: 0.8, wrong: 1 },
      empty: 'No token limit',
    }),
    number({
      title: 'Lowest pace limit',
      description:
        'Lowest pace limit of the selected callers that have one, in tokens per second of each stream.',
      unit: 'tokens/s',
      expr: `min(${family('pace_tokens_per_second', CALLER)} > 0)`,
      empty: 'No pace limit',
    }),
  ],
  rows: [
    [
      'Which callers send requests?',
      lines({
        title: 'Requests per minute by caller',
        description: 'Requests that ended, per minute, by the configured name of the key: the ten callers with the most requests in the selected time range.',
        height: 11,
        unit: 'reqpm',
        stacked: true,
        min: 0,
        width: 12,
        queries: [['{{caller}}', busiest(`60 * ${sum(rate(family('caller_requests_total', CALLER)), 'caller')}`)]],
      }),
      lines({
        title: 'Quota tokens per second by caller',
        height: 11,
        description:
          'Tokens per second of the ten callers with the most requests in the selected time range, counted as quotas count them: output tokens plus prompt tokens, without cached prompt tokens. The table below has the output and the prompt tokens.',
        unit: 'tokens/s',
        stacked: true,
        min: 0,
        width: 12,
        queries: [['{{caller}}', busiest(spent('caller'))]],
      }),
      table({
        title: 'Callers',
        description:
          'The ten callers with the most requests in the selected time range: requests, the shares that were refused and that failed, tokens, and the present use of the token limit. A link in the first column selects the caller.',
        unit: 'none',
        width: 24,
        height: 12,
        labels: ['caller'],
        sort: { by: 'requests', desc: true },
        link: 'caller',
        columns: [
          { name: 'requests', unit: 'none', decimals: 0, expr: `topk(10, ${sum(increase(family('caller_requests_total', CALLER)), 'caller')} > 0)` },
          { name: 'refused', unit: 'percentunit', decimals: 1, expr: share('outcome="refused"'), limits: { look: 0.01, wrong: 0.1 } },
          { name: 'failed', unit: 'percentunit', decimals: 1, expr: share(FAILED), limits: { look: 0.01, wrong: 0.05 } },
          { name: 'disconnected', unit: 'percentunit', decimals: 1, expr: share('outcome="client_abort"'), limits: { look: 0.1, wrong: 0.3 } },
          { name: 'output tokens', unit: 'short', decimals: 1, expr: sum(increase(family('caller_tokens_total', CALLER, 'kind="output"')), 'caller') },
          { name: 'prompt tokens', unit: 'short', decimals: 1, expr: sum(increase(family('caller_tokens_total', CALLER, 'kind="prompt"')), 'caller') },
          { name: 'token limit use', unit: 'percentunit', decimals: 0, expr: quotaUse, limits: { look: 0.8, wrong: 1 } },
        ],
      }),
    ],
    [
      'How long do requests wait for a slot?',
      lines({
        title: 'Queued requests by priority',
        description: 'Requests that wait in the sidecar for a slot, by the priority of their callers.',
        height: 9,
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [['{{priority}}', sum(family('queue_depth'), 'priority')]],
        empty: 'No queue',
      }),
      lines({
        title: 'Wait in the sidecar’s queue',
        description:
          'Time that requests wait in the sidecar’s queue. The row "Where does the time go?" of Efficiency shows the hidden queue inside Ollama.',
        height: 9,
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'queue_wait_seconds')]),
        empty: 'No queue',
      }),
      lines({
        title: 'Dispatches per minute by reason',
        description:
          'Requests per minute that got a slot at an upstream, by the reason for the choice. Many "not_loaded" are loads of models: the upstreams do not have the models in memory that the requests need.',
        height: 12,
        unit: 'reqpm',
        min: 0,
        queries: [
          [
            '{{reason}}, {{upstream}}',
            unlessNeverCounted(
              `60 * ${sum(rate(family('dispatches_total')), 'reason', 'upstream')}`,
              family('dispatches_total'),
              'reason',
              'upstream',
            ),
          ],
        ],
      }),
      lines({
        title: 'Slots by state',
        description:
          'Slots of all upstreams: free, busy, and releasing, which Ollama has finished and whose clients still read. Running and waiting are the sums over all upstreams and priorities. A queue beside free slots means that the free slots belong to upstreams that lack the model.',
        height: 12,
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [
          ['{{state}}', sum(family('slots'), 'state')],
          ['running', sum(family('requests_running'))],
          ['waiting', sum(family('requests_waiting'))],
        ],
        colors: { free: 'green', busy: 'blue', running: 'light-blue', releasing: 'purple', waiting: 'orange' },
      }),
    ],
    [
      'Which requests are refused, and why?',
      lines({
        title: 'Refused requests per minute by reason',
        height: 11,
        description:
          'Requests that admission refused, per minute. The reason names the setting that refused the request. A reason that refused nothing in the selected time range does not appear.',
        unit: 'reqpm',
        stacked: true,
        min: 0,
        queries: [
          [
            '{{reason}}',
            unlessNeverCounted(
              `60 * ${sum(rate(family('admission_total', REFUSED)), 'reason')}`,
              family('admission_total', REFUSED),
              'reason',
            ),
          ],
        ],
        colors: REASONS,
        empty: 'No refusal',
      }),
      lines({
        title: 'Incomplete requests per minute by caller',
        height: 11,
        description:
          'Requests per minute that were refused, that failed or that the client cancelled: the ten callers with the most such requests in the selected time range. A high rate of a single caller points to a faulty client.',
        unit: 'reqpm',
        min: 0,
        queries: [['{{caller}}', tenWithMost(`60 * ${sum(rate(incomplete), 'caller')}`, incomplete)]],
        empty: 'No incomplete request',
      }),
    ],
    [
      'How much quota do callers use, and how fast may their streams be?',
      lines({
        title: 'Token limit use by caller',
        height: 11,
        description:
          'Tokens of each caller in the last five minutes, divided by the token limit of its own key for that time (`streamgauge_caller_limit_per_second`). Near 100 % the sidecar makes the caller wait. A burst can exceed 100 %. Callers without a token limit do not appear. The panel shows the ten callers that used most of their limits in the selected time range.',
        unit: 'percentunit',
        min: 0,
        limits: { wrong: 1 },
        queries: [['{{caller}}', `(${quotaUse}) and on (caller) ${closest}`]],
        empty: 'No token limit',
      }),
      table({
        title: 'Limits of each caller',
        height: 11,
        description:
          'Limits of the keys: requests and tokens per minute, and the pace of each stream, by the configured name of the key. A caller without a limit does not appear, and a dash means no limit.',
        unit: 'none',
        labels: ['caller'],
        sort: { by: 'caller', desc: false },
        link: 'caller',
        every: true,
        columns: [
          { name: 'requests per minute', unit: 'none', decimals: 1, expr: perMinute('requests') },
          { name: 'tokens per minute', unit: 'none', decimals: 0, expr: perMinute('tokens') },
          { name: 'pace (tokens/s)', unit: 'none', decimals: 0, expr: `${max(family('pace_tokens_per_second', CALLER), 'caller')} > 0` },
        ],
        empty: 'No limit',
      }),
    ],
  ],
  details: [
    [
      'Does the automatic stream limit fit?',
      lines({
        title: 'Automatic stream limit by upstream',
        width: 8,
        description:
          'Streams that may run at an upstream with max_streams = "auto". The panel beside it shows why the limit has changed.',
        unit: 'streams',
        min: 0,
        decimals: 0,
        queries: [['{{upstream}}', sum(family('stream_limit'), 'upstream')]],
        empty: 'No limit is automatic',
      }),
      states({
        title: 'Reason for the automatic stream limit',
        width: 8,
        description:
          'The reason for the last change of the limit of an upstream with max_streams = "auto". "Automatic limit" in docs/reference/configuration.md explains the reasons. Orange reasons lower the limit.',
        unit: 'none',
        off: ['none', 'transparent'],
        on: CHANGES[0],
        more: CHANGES.slice(1),
        queries: [
          [
            '{{upstream}}',
            stateOf(
              (matcher) => family('stream_limit_reason', matcher),
              CHANGES.map(([reason]) => `reason="${reason}"`),
              'upstream',
            ),
          ],
        ],
        empty: 'No limit is automatic',
      }),
      lines({
        title: 'Cost of the automatic stream limit',
        width: 8,
        description:
          'Time per second that streams above the limit waited inside Ollama, and that a lowered limit left a slot unused, with max_streams = "auto".',
        unit: 'percentunit',
        min: 0,
        queries: [['{{upstream}}', sum(rate(family('stream_limit_probe_seconds_total')), 'upstream')]],
        empty: 'No limit is automatic',
      }),
    ],
    [
      'Are the limits shared with other sidecars?',
      lines({
        title: 'Mode of the shared limits',
        height: 9,
        description:
          'Sidecars by what decides: the store (`shared`), or, while the store does not answer, the policy of `on_failure`. The line "share the limits" is the number of sidecars that the store knows.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [
          ['{{mode}}', sum(family('shared_mode'), 'mode')],
          ['share the limits', max(family('shared_sidecars'))],
        ],
        colors: { ...DECIDES, 'share the limits': 'blue' },
        empty: 'Not shared',
      }),
      lines({
        title: 'Decisions about shared limits per minute',
        height: 9,
        description:
          'Requests of callers with shared limits, per minute, by what decided: the store, an earlier answer of the store (`memory`), or the policy of `on_failure`.',
        unit: 'reqpm',
        min: 0,
        queries: [['{{source}}', `60 * ${sum(rate(family('shared_decisions_total')), 'source')}`]],
        colors: DECIDES,
        empty: 'Not shared',
      }),
      lines({
        title: 'Call to the store of shared limits',
        height: 9,
        description:
          'Time of a call, 50th and 99th percentile. A request waits for `shared.deadline` at most.',
        unit: 's',
        min: 0,
        queries: [0.5, 0.99].map((q) => [`p${q * 100} {{call}}`, quantile(q, 'shared_call_seconds', [], 'call')]),
        empty: 'Not shared',
      }),
      lines({
        title: 'Failures of the store of shared limits',
        height: 9,
        description:
          'Calls and connections that failed, per minute by reason, and tokens that could not be charged, per minute.',
        unit: '/min',
        min: 0,
        shades: 'red',
        queries: [
          ['{{reason}}', `60 * ${sum(rate(family('shared_failures_total')), 'reason')}`],
          ['tokens not charged', `60 * ${sum(rate(family('shared_charges_lost_total')))}`],
        ],
        empty: 'Not shared',
      }),
    ],
  ],
};
