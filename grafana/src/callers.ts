import { Board, UPSTREAMS, Variable } from './board';
import { lines, number, ranking } from './panel';
import { CALLER, UPSTREAM, family, increase, max, orZero, orZeroOf, quantile, rate, ratio, sum } from './query';

const CALLERS: Variable = {
  kind: 'label',
  name: 'caller',
  label: 'Caller',
  description: 'The name of a key; "anonymous" are those without one.',
  from: 'streamgauge_caller_requests_total',
};
const REFUSED = 'decision="refused"';
// What a quota counts: prompt tokens but for the cached ones, and output.
const spent = (...by: string[]) =>
  `(${sum(rate(family('caller_tokens_total', CALLER, 'kind=~"prompt|output"')), ...by)} - (${sum(
    rate(family('caller_tokens_total', CALLER, 'kind="prompt_cached"')),
    ...by,
  )} or 0 * ${sum(rate(family('caller_tokens_total', CALLER)), ...by)}))`;
const refusedShare = ratio(
  `(${orZero(sum(rate(family('admission_total', REFUSED))))})`,
  sum(rate(family('admission_total'))),
);

export const callers: Board = {
  uid: 'streamgauge-callers',
  title: 'Streamgauge / Callers and limits',
  description: 'Who asks, who waits, who is refused, how much of a quota is left, how fast are they served?',
  variables: [
    UPSTREAMS,
    CALLERS,
    {
      kind: 'text',
      name: 'quota',
      label: 'Tokens a minute',
      description: 'The quota to compare callers with: `tokens` of a key in the configuration.',
      start: '20000',
    },
  ],
  stats: [
    number({
      title: 'Callers',
      description: 'Callers that asked for something in the range shown.',
      unit: 'none',
      decimals: 0,
      expr: `count(${sum(increase(family('caller_requests_total', CALLER)), 'caller')} > 0)`,
    }),
    number({
      title: 'Requests',
      description: 'Requests of the chosen callers that ended, a second.',
      unit: 'reqps',
      expr: sum(rate(family('caller_requests_total', CALLER))),
    }),
    number({
      title: 'Tokens',
      description: 'Tokens a minute of the chosen callers, counted as quotas count them: prompt without its cached part, and output.',
      unit: 'tokens/min',
      decimals: 0,
      expr: `60 * ${spent()}`,
    }),
    number({
      title: 'Refused',
      description: 'Share of requests that admission refused: no key, not allowed, over the rate, queue full or too slow.',
      unit: 'percentunit',
      decimals: 1,
      expr: refusedShare,
      limits: { look: 0.01, wrong: 0.1 },
    }),
    number({
      title: 'Waiting now',
      description: 'Requests in our queues, of all upstreams chosen. Only upstreams with `max_streams` have one.',
      unit: 'none',
      decimals: 0,
      expr: sum(family('queue_depth', UPSTREAM)),
      empty: 'No queue',
    }),
    number({
      title: 'Wait, p95',
      description: 'Time in our queue of those who had to pass it.',
      unit: 's',
      expr: quantile(0.95, 'queue_wait_seconds', [UPSTREAM]),
      limits: { look: 5, wrong: 30 },
      empty: 'No queue',
    }),
    number({
      title: 'Highest use of the quota',
      description: 'Tokens a minute of the busiest caller by the quota chosen above.',
      unit: 'percentunit',
      decimals: 0,
      expr: `max(60 * ${spent('caller')}) / $quota`,
      limits: { look: 0.8, wrong: 1 },
    }),
    number({
      title: 'Slowest pace',
      description: 'The lowest pace in force of the chosen callers, tokens a second of each stream. 0: none.',
      unit: 'tokens/s',
      expr: `min(${family('pace_tokens_per_second', CALLER)})`,
      empty: 'No pace',
    }),
  ],
  rows: [
    [
      'Who asks?',
      lines({
        title: 'Requests by caller',
        description: 'Requests a second that ended, by the name of the key.',
        unit: 'reqps',
        stacked: true,
        min: 0,
        width: 8,
        queries: [['{{caller}}', sum(rate(family('caller_requests_total', CALLER)), 'caller')]],
      }),
      lines({
        title: 'Tokens by caller',
        description: 'Tokens a second by caller and kind.',
        unit: 'tokens/s',
        min: 0,
        width: 8,
        queries: [['{{caller}}, {{kind}}', sum(rate(family('caller_tokens_total', CALLER)), 'caller', 'kind')]],
      }),
      ranking({
        title: 'Tokens in the range shown',
        description: 'Who used most of it, prompt (not its cached part twice) and output.',
        unit: 'none',
        decimals: 0,
        query: [
          '{{caller}}',
          `sort_desc(${sum(increase(family('caller_tokens_total', CALLER, 'kind=~"prompt|output"')), 'caller')})`,
        ],
      }),
    ],
    [
      'Who waits?',
      lines({
        title: 'Queue',
        description: 'Requests that wait for a place at an upstream, by upstream.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [['{{upstream}}', max(family('queue_depth', UPSTREAM), 'upstream')]],
        empty: 'No queue',
      }),
      lines({
        title: 'Time in the queue',
        description: 'Wait in our own queue. Ollama’s hidden one is in Efficiency, "Where does the time go?".',
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => [`p${q * 100}`, quantile(q, 'queue_wait_seconds', [UPSTREAM])]),
        empty: 'No queue',
      }),
    ],
    [
      'Who is refused, and why?',
      lines({
        title: 'Refusals by reason',
        description: 'A second. The reason says which setting it was.',
        unit: 'reqps',
        stacked: true,
        min: 0,
        queries: [['{{reason}}', sum(rate(family('admission_total', REFUSED)), 'reason')]],
      }),
      lines({
        title: 'Not completed, by caller',
        description: 'Requests a second that were let in and failed or were given up, by caller: one with a wrong client shows.',
        unit: 'reqps',
        min: 0,
        queries: [
          [
            '{{caller}}',
            orZeroOf(
              sum(rate(family('caller_requests_total', CALLER)), 'caller'),
              sum(rate(family('caller_requests_total', CALLER, 'outcome!="complete"')), 'caller'),
            ),
          ],
        ],
      }),
    ],
    [
      'How much quota is left, and how fast are they served?',
      lines({
        title: 'Use of the quota',
        description:
          'Tokens a minute by caller, by the quota chosen above. Above 1 a caller runs into debt, which it pays back by waiting.',
        unit: 'percentunit',
        min: 0,
        limits: { wrong: 1 },
        queries: [['{{caller}}', `60 * ${spent('caller')} / $quota`]],
      }),
      lines({
        title: 'Pace',
        description: 'Tokens a second that each stream of a caller is held to. 0: not held.',
        unit: 'tokens/s',
        min: 0,
        queries: [['{{caller}}', max(family('pace_tokens_per_second', CALLER), 'caller')]],
        empty: 'No pace',
      }),
    ],
  ],
};
