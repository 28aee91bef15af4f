// PromQL in pieces: every selector carries the dashboard's `job` and `instance`, every rate its interval.

/** Label matchers that follow the dashboard's variables. */
export const UPSTREAM = 'upstream=~"$upstream"';
export const MODEL = 'model=~"$model"';
export const GPU = 'gpu=~"$gpu"';
export const CALLER = 'caller=~"$caller"';
export const RUNTIME = 'runtime=~"$runtime"';

/** Where we ran, for `by` and `on`: what tells one sidecar from another. */
export const HERE = 'job, instance';

/** A family of ours; its name without the prefix. */
export function family(name: string, ...matchers: string[]): string {
  return select(`streamgauge_${name}`, ...matchers);
}

/** Any series, by its whole name: `up`, `process_…`, a recorded one. */
export function select(name: string, ...matchers: string[]): string {
  return `${name}{${['job=~"$job"', 'instance=~"$instance"', ...matchers].join(', ')}}`;
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

/** The q-quantile of a histogram of ours, over all series but for the labels of `by`. */
export function quantile(q: number, name: string, matchers: string[] = [], ...by: string[]): string {
  return `histogram_quantile(${q}, ${sum(rate(family(`${name}_bucket`, ...matchers)), 'le', ...by)})`;
}

/** The mean of what a histogram of ours observed. */
export function mean(name: string, matchers: string[] = [], ...by: string[]): string {
  return ratio(
    sum(rate(family(`${name}_sum`, ...matchers)), ...by),
    sum(rate(family(`${name}_count`, ...matchers)), ...by),
  );
}

/** The share of observations at or below a bound. `(\\.0)?`: Prometheus 3 writes a whole bound as `5.0`, 2 as `5`. */
export function within(bound: string, name: string, ...matchers: string[]): string {
  return ratio(
    sum(rate(family(`${name}_bucket`, ...matchers, `le=~"${bound}(\\\\.0)?"`))),
    sum(rate(family(`${name}_count`, ...matchers))),
  );
}

export function ratio(part: string, whole: string): string {
  return `${part} / ${whole}`;
}

/** 0 where nothing of it has happened yet: a label value that no request has had has no series. */
export function orZero(inner: string): string {
  return `${inner} or vector(0)`;
}

/** The same for several series: 0 for each of `all` that has none of it. */
export function orZeroOf(all: string, inner: string): string {
  return `${inner} or 0 * ${all}`;
}

/** Over the whole range that the dashboard shows. */
export function increase(counter: string): string {
  return `increase(${counter}[$__range])`;
}

function aggregate(operation: string, inner: string, by: string[]): string {
  return by.length === 0 ? `${operation}(${inner})` : `${operation} by (${by.join(', ')}) (${inner})`;
}
