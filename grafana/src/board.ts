// The parts that all dashboards share: variables, links, layout.
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { DATASOURCE, Panel } from './panel';
import { family, select } from './query';

const TAG = 'streamgauge';
const COLUMNS = 24;

/** A row: the question it answers, and the panels that answer it. */
export type Row = [question: string, ...panels: Panel[]];

export interface Board {
  uid: string;
  title: string;
  description: string;
  variables: Variable[];
  /** The small panels at the top, each with one number. */
  stats: Panel[];
  rows: Row[];
  /** Rows that are closed until someone opens them: what explains a finding of the rows above. */
  details?: Row[];
}

/** A variable in addition to `datasource`, `job` and `instance`, which every dashboard has. */
export type Variable =
  | { kind: 'label'; name: string; label: string; description: string; from: string }
  | { kind: 'choice'; name: string; label: string; description: string; values: string[]; start: string; hidden?: true }
  | { kind: 'text'; name: string; label: string; description: string; start: string };

export const UPSTREAMS: Variable = {
  kind: 'label',
  name: 'upstream',
  label: 'Upstream',
  description: 'The Ollama server that answered.',
  from: 'streamgauge_upstream_up',
};
export const MODELS: Variable = {
  kind: 'label',
  name: 'model',
  label: 'Model',
  description: 'Model of the request. "other" stands for models after the first 16, "none" for requests without a model.',
  from: 'streamgauge_requests_total',
};

/** Events that every dashboard marks on its time axis. */
const EVENTS = [
  {
    name: 'Alert',
    color: 'red',
    expr: select('ALERTS', 'alertname=~"Streamgauge.*"', 'alertstate="firing"'),
    text: '{{alertname}} {{instance}} {{upstream}}',
  },
  {
    name: 'Restart of a sidecar',
    color: 'blue',
    expr: `${select('process_start_time_seconds')} > time() - 60 and on (job, instance) ${family('build_info')}`,
    text: '{{instance}}',
  },
  {
    name: 'Model load',
    color: 'purple',
    expr: `sum by (upstream, model) (increase(${family('model_loads_total')}[1m])) > 0`,
    text: '{{model}} at {{upstream}}',
  },
];

/** The dashboard, laid out from left to right, row by row. */
export function build(board: Board): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(board.title)
    .uid(board.uid)
    .description(board.description)
    .tags([TAG])
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .link(siblings())
    .link(page('Metrics', 'docs/reference/metrics.md', 'Meaning of every metric'))
    .link(page('Alerts', 'docs/how-to/alerts.md', 'Meaning of each alert, and what to do'))
    .withVariable(
      new dashboard.DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus').current({
        selected: false,
        text: 'default',
        value: 'default',
      }),
    );
  for (const variable of [JOBS, INSTANCES, ...board.variables]) builder.withVariable(choose(variable));
  for (const { name, color, expr, text } of EVENTS) {
    builder.annotation(
      new dashboard.AnnotationQueryBuilder()
        .name(name)
        .datasource(DATASOURCE)
        .enable(true)
        .hide(false)
        .iconColor(color)
        .expr(expr)
        .step('30s')
        .titleFormat(name)
        .textFormat(text),
    );
  }
  board.stats.forEach((panel) => builder.withPanel(panel));
  for (const [question, ...panels] of board.rows) {
    builder.withRow(new dashboard.RowBuilder(question));
    panels.forEach((panel) => builder.withPanel(panel));
  }
  for (const [question, ...panels] of board.details ?? []) {
    const row = new dashboard.RowBuilder(question).collapsed(true);
    panels.forEach((panel) => row.withPanel(panel));
    builder.withRow(row);
  }
  const built = builder.build();
  plain(built);
  number(built);
  return built;
}

const JOBS: Variable = {
  kind: 'label',
  name: 'job',
  label: 'Job',
  description: 'Scrape job in Prometheus.',
  from: 'streamgauge_build_info',
};
const INSTANCES: Variable = {
  kind: 'label',
  name: 'instance',
  label: 'Instance',
  description: 'Address of the sidecar.',
  // Not a metric of the sidecar: one that has been down for the whole range would not be in the list, and no tile would
  // count it.
  from: 'up',
};

function choose(variable: Variable) {
  const { name, label, description } = variable;
  if (variable.kind === 'text') {
    return new dashboard.TextBoxVariableBuilder(name).label(label).description(description).defaultValue(variable.start);
  }
  if (variable.kind === 'choice') {
    const option = (value: string) => ({ selected: value === variable.start, text: value, value });
    return new dashboard.CustomVariableBuilder(name)
      // A hidden variable can still be set in the address: `&var-NAME=VALUE`.
      .hide(variable.hidden ? dashboard.VariableHide.HideVariable : dashboard.VariableHide.DontHide)
      .label(label)
      .description(description)
      .values(variable.values.join(','))
      .options(variable.values.map(option))
      .current(option(variable.start));
  }
  // The variables before a variable limit its list.
  const place = name === 'job' || name === 'instance';
  const matchers = { job: '', instance: '{job=~"$job"}' }[name] ?? '{job=~"$job", instance=~"$instance"}';
  const query = new dashboard.QueryVariableBuilder(name)
    .label(label)
    .description(description)
    .datasource(DATASOURCE)
    .query({ query: `label_values(${variable.from}${matchers}, ${name})`, refId: name })
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .current({ selected: true, text: ['All'], value: ['$__all'] });
  // "All" jobs are those in the list, because `up` and `process_…` also have series of other programs. For labels of
  // our own metrics, "All" matches every value, including those that appeared after the list was read.
  return place ? query : query.allValue('.*');
}

function siblings() {
  return new dashboard.DashboardLinkBuilder('Streamgauge')
    .type(dashboard.DashboardLinkType.Dashboards)
    .tags([TAG])
    .asDropdown(true)
    .includeVars(true)
    .keepTime(true);
}

function page(title: string, path: string, tooltip: string) {
  return new dashboard.DashboardLinkBuilder(title)
    .type(dashboard.DashboardLinkType.Link)
    .icon('doc')
    .tooltip(tooltip)
    .url(`https://github.com/streamgauge/streamgauge/blob/main/${path}`)
    .targetBlank(true);
}

/** Removes builder defaults that are not in Grafana's schema, and the option that hides the links in a menu. */
function plain(built: dashboard.Dashboard) {
  const drop = (owner: object | undefined, ...keys: string[]) => {
    for (const key of keys) if (owner) Reflect.deleteProperty(owner, key);
  };
  for (const link of built.links ?? []) drop(link, 'placement');
  for (const variable of built.templating?.list ?? []) drop(variable, 'auto', 'auto_min', 'auto_count');
  for (const panel of all(built)) if ('options' in panel) drop(panel.options, 'footer');
}

/** All panels, those of closed rows included. */
function all(built: dashboard.Dashboard) {
  return (built.panels ?? []).flatMap((panel) => ('panels' in panel ? [panel, ...panel.panels] : [panel]));
}

/** Ids that links may name; each line of panels has to fill its width. */
function number(built: dashboard.Dashboard) {
  const panels = all(built);
  const ids = new Set<number>();
  for (const panel of panels) {
    panel.id = idOf(`${panel.type} ${panel.title}`);
    if (ids.has(panel.id)) throw new Error(`${built.title}: ${panel.title} has another panel's id`);
    ids.add(panel.id);
  }
  const lines = new Map<number, number>();
  for (const { gridPos } of panels) {
    if (gridPos) lines.set(gridPos.y, (lines.get(gridPos.y) ?? 0) + gridPos.w);
  }
  for (const [y, width] of lines) {
    if (width !== COLUMNS) throw new Error(`${built.title}: the line at ${y} is ${width} columns wide, not ${COLUMNS}`);
  }
}

/** From the kind and the title alone (FNV-1a), so that a new panel does not break the links to those after it. */
function idOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return 1 + (hash % 1_000_000);
}
