// Parts of PromQL. Every selector has the dashboard's `job` and `instance`, and every rate has its interval.

/** Label matchers that follow the dashboard's variables. */
export const UPSTREAM = 'upstream=~"$upstream"';
export const MODEL = 'model=~"$model"';
export const GPU = 'gpu=~"$gpu"';
export const CALLER = 'caller=~"$caller"';
/** Not idleness, not clocks that an operator fixed, and not the power limit, at which a busy GPU runs all the time. */
export const THROTTLED = 'reason!~"gpu_idle|sw_power_cap|.*_clocks?_setting"';
/** Routes whose requests generate: a list of models takes milliseconds, an answer takes seconds. */
export const GENERATION =
  'route=~"generate|chat|openai_chat|openai_completions|openai_responses|openai_transcriptions|openai_responses_compact|openai_images_generations|openai_images_edits|anthropic_messages|v1_other"';
export const RUNTIME = 'runtime=~"$runtime"';

/** The labels that identify a sidecar, for `by` and `on`. */
export const HERE = 'job, instance';

/** A metric of the sidecar, by its name without the prefix. */
export function family(name: string, ...matchers: string[]): string {
  return select(`streamgauge_${name}`, ...matchers);
}

/** Any series, by its full name: `up`, `process_…`, or a recorded one. */
export function select(name: string, ...matchers: string[]): string {
  return `${name}{${['job=~"$job"', 'instance=~"$instance"', ...matchers].join(', ')}}`;
}

/** A series that was recorded for all sidecars of a job together. */
export function ofJob(name: string, ...matchers: string[]): string {
  return `${name}{${['job=~"$job"', ...matchers].join(', ')}}`;
}

export function rate(counter: string): string {
  return `rate(${counter}[$__rate_interval])`;
}

export function sum(inner: string, ...by: string[]): string {
  return aggregate('sum', inner, by);
}

export function max(inner: string, ...by: string[]): string {
  return aggregate('max', inner, by);
}

export function min(inner: string, ...by: string[]): string {
  return aggregate('min', inner, by);
}

/** The histograms that are native if the sidecar and Prometheus have them on. They have no `_bucket`, `_sum` and `_count` then. */
const NATIVE = ['phase_seconds', 'chunk_gap_seconds', 'time_to_first_token_seconds'];

/** An expression for the classic buckets, and one for native ones, if the histogram can have these. */
function eitherForm(name: string, classic: string, native: string): string {
  return NATIVE.includes(name) ? `(${classic} or ${native})` : classic;
}

/** The q-quantile over the range shown: it has a value even if only a few requests came. */
export function quantileOfRange(q: number, name: string, matchers: string[], ...by: string[]): string {
  return quantileBy(increase, q, name, matchers, by);
}

/** The q-quantile of a histogram of the sidecar, by the labels of `by`. */
export function quantile(q: number, name: string, matchers: string[] = [], ...by: string[]): string {
  return quantileBy(rate, q, name, matchers, by);
}

function quantileBy(over: (series: string) => string, q: number, name: string, matchers: string[], by: string[]): string {
  return eitherForm(
    name,
    `histogram_quantile(${q}, ${sum(over(family(`${name}_bucket`, ...matchers)), 'le', ...by)})`,
    `histogram_quantile(${q}, ${sum(over(family(name, ...matchers)), ...by)})`,
  );
}

/** The mean of the observations of a histogram. */
export function mean(name: string, matchers: string[] = [], ...by: string[]): string {
  const native = sum(rate(family(name, ...matchers)), ...by);
  return eitherForm(
    name,
    ratio(
      sum(rate(family(`${name}_sum`, ...matchers)), ...by),
      sum(rate(family(`${name}_count`, ...matchers)), ...by),
    ),
    ratio(`histogram_sum(${native})`, `histogram_count(${native})`),
  );
}

/**
 * The share of observations at or below a bound. `(\\.0)?`: Prometheus 3 writes a whole bound as `5.0`, 2 as `5`. Prometheus
 * extrapolates the bucket and the count of new series by themselves, so that their ratio can exceed 1.
 */
export function within(bound: string, name: string, ...matchers: string[]): string {
  return eitherForm(
    name,
    atMostOne(
      ratio(
        sum(rate(family(`${name}_bucket`, ...matchers, `le=~"${bound}(\\\\.0)?"`))),
        sum(rate(family(`${name}_count`, ...matchers))),
      ),
    ),
    `histogram_fraction(0, ${bound}, ${sum(rate(family(name, ...matchers)))})`,
  );
}

/** The same over a window: `1h`, `$__range`. */
export function withinOf(range: string, bound: string, name: string, ...matchers: string[]): string {
  const over = (series: string, ...more: string[]) => {
    const operation = range === '$__range' ? 'increase' : 'rate';
    return sum(`${operation}(${family(series, ...matchers, ...more)}[${range}])`);
  };
  return eitherForm(
    name,
    atMostOne(ratio(over(`${name}_bucket`, `le=~"${bound}(\\\\.0)?"`), over(`${name}_count`))),
    `histogram_fraction(0, ${bound}, ${over(name)})`,
  );
}

function atMostOne(share: string): string {
  return `clamp_max(${share}, 1)`;
}

export function ratio(part: string, whole: string): string {
  return `${part} / ${whole}`;
}

/** 0 if there is no series yet: a label value without a request has none. */
export function orZero(inner: string): string {
  return `${inner} or vector(0)`;
}

/** The same for several series: 0 for each series of `all` that is missing. */
export function orZeroOf(all: string, inner: string): string {
  return `${inner} or 0 * ${all}`;
}

/**
 * Sidecars that do not answer Prometheus: targets that are down, and targets that answered within the range shown and
 * that Prometheus no longer has. No data means that there was no target at all.
 */
export function sidecarsDown(): string {
  const up = select('up');
  const seen = `last_over_time(${up}[$__range])`;
  return orZeroOf(`count(${seen})`, `count((${up} == 0) or (${seen} unless ${up}))`);
}

/**
 * The number of the last of these states that holds, from 1, or 0. `gauge` has a series of 0 or 1 for each state, which a
 * matcher selects.
 */
export function stateOf(gauge: (matcher: string) => string, matchers: string[], ...by: string[]): string {
  return max(matchers.map((matcher, at) => `${at + 1} * ${gauge(matcher)}`).join(' or '), ...by);
}

/** Rates of a counter, without those whose labels `by` counted nothing in the range shown. */
export function unlessNeverCounted(inner: string, counter: string, ...by: string[]): string {
  return `${inner} and on (${by.join(', ')}) (${sum(`increase(${counter}[$__range] @ end())`, ...by)} > 0)`;
}

/** The increase over the time range of the dashboard. */
export function increase(counter: string): string {
  return `increase(${counter}[$__range])`;
}

function aggregate(operation: string, inner: string, by: string[]): string {
  return by.length === 0 ? `${operation}(${inner})` : `${operation} by (${by.join(', ')}) (${inner})`;
}
