// The kinds of panel of the dashboards, and the options that all of them share.
import { Builder } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as tables from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import * as xychart from '@grafana/grafana-foundation-sdk/xychart';

/** The dashboard's variable, so that no data source is fixed. */
export const DATASOURCE: common.DataSourceRef = { type: 'prometheus', uid: '${datasource}' };

/** A query and the legend of its series. */
export type Query = [legend: string, expr: string];

/** The options of every panel. */
interface Words {
  title: string;
  description: string;
  unit: string;
  width?: number;
  decimals?: number;
  min?: number;
  max?: number;
  /** Bounds from which a value is unusual (orange) and wrong (red). `below`: lower values are worse. */
  limits?: { look?: number; wrong: number; below?: boolean; worst?: number };
  /** Shown instead of "No data". */
  empty?: string;
}

export type Panel = Builder<dashboard.Panel>;

/**
 * A number as it is now, or over the range shown. The query is instant: the last value of a range would stay on the
 * tile after its series has ended, and a sidecar that stopped would look healthy.
 */
export function number(
  words: Words & { expr: string; legend?: string; mappings?: Record<string, [text: string, color: string]> },
): Panel {
  const quiet = words.empty ?? 'No traffic';
  return dress(new stat.PanelBuilder(), words, 3, 6)
    .graphMode(common.BigValueGraphMode.None)
    .colorMode(words.limits || words.mappings ? common.BigValueColorMode.Value : common.BigValueColorMode.None)
    .textMode(words.legend ? common.BigValueTextMode.ValueAndName : common.BigValueTextMode.Auto)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false))
    .noValue(quiet)
    .mappings([...named(words.mappings), unheard(quiet)])
    .withTarget(target(0, [words.legend ?? '', words.expr]).instant());
}

/**
 * Lines over time. `stacked` if their sum has a meaning. `colors` are those of names, and `shades` is one color for all
 * lines, for what is never good.
 */
export function lines(
  words: Words & { queries: Query[]; stacked?: boolean; log?: boolean; points?: boolean; height?: number; softMax?: number; colors?: Record<string, string>; shades?: string },
): Panel {
  // With a height of 8, the legend has no room for its third row.
  const panel = dress(new timeseries.PanelBuilder(), words, words.height ?? 9, 12)
    .lineWidth(1)
    // The fills of many lines that are not stacked would mix to a color that none of them has.
    .fillOpacity(words.stacked ? 30 : 0)
    .showPoints(words.points ? common.VisibilityMode.Always : common.VisibilityMode.Auto)
    .spanNulls(false)
    .noValue(words.empty ?? 'No traffic')
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        // A legend with more series than it has room for begins with those that matter.
        .sortBy('Max')
        .sortDesc(true)
        .calcs(['mean', 'max', 'lastNotNull']),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending));
  // By name, a model keeps its color when another one appears. By their order, series that stand side by side differ
  // clearly, which two names may not.
  if (words.queries.every(([legend]) => legend === '{{model}}')) {
    panel.colorScheme(new dashboard.FieldColorBuilder().mode('palette-classic-by-name' as dashboard.FieldColorModeId));
  }
  if (words.shades) {
    const mode = 'shades' as dashboard.FieldColorModeId;
    panel.colorScheme(new dashboard.FieldColorBuilder().mode(mode).fixedColor(words.shades));
  }
  if (words.stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  if (words.log) {
    panel.scaleDistribution(new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10));
  }
  if (words.limits) {
    panel.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed));
  }
  const softMax = words.softMax ?? (words.log || words.max !== undefined ? undefined : SOFT_MAX[words.unit]);
  if (softMax !== undefined) panel.axisSoftMax(softMax);
  for (const [name, color] of Object.entries(COLORS)) {
    if (words.queries.some(([legend]) => name.startsWith('/') ? legend === '{{code}}' : legend.includes('{{outcome}}') || legend === name)) {
      const properties = [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }];
      if (name.startsWith('/')) panel.overrideByRegexp(name, properties);
      else panel.overrideByName(name, properties);
    }
  }
  for (const [name, color] of Object.entries(words.colors ?? {})) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
  }
  if (words.queries.some(([legend]) => legend === 'objective')) {
    panel.overrideByName('objective', [
      { id: 'color', value: { mode: 'fixed', fixedColor: 'orange' } },
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } },
      { id: 'custom.fillOpacity', value: 0 },
    ]);
  }
  words.queries.forEach((query, at) => panel.withTarget(target(at, query)));
  return panel;
}

/** How far an axis reaches at least, by its unit. Without a soft maximum, the axis of a series of zeros ends at 100. */
const SOFT_MAX: Record<string, number> = {
  ...Object.fromEntries(
    ['none', '×', '/min', 'reqpm', 'ops', 'loads/h', 'tokens/s', 'streams', 'bytes', 'Bps'].map((unit) => [unit, 1]),
  ),
  s: 0.001,
  percentunit: 0.1,
  cores: 0.01,
};

/** One meaning, one color, on every dashboard: outcomes, classes of status codes, states and percentiles. */
const COLORS: Record<string, string> = {
  complete: 'green',
  client_abort: 'blue',
  client_error: 'yellow',
  refused: 'purple',
  in_band_error: 'red',
  truncated: 'dark-red',
  upstream_error: 'orange',
  late_error: 'dark-orange',
  '/^2..$/': 'green',
  '/^3..$/': 'blue',
  '/^4..$/': 'yellow',
  '/^5..$/': 'red',
  'sidecars up': 'green',
  'sidecars down': 'red',
  'upstreams up': 'blue',
  'upstreams down': 'orange',
  p50: 'light-blue',
  p95: 'semi-dark-blue',
  p99: 'purple',
};

/** One line for each series, in the color of its state: the texts and colors of 0, of 1 and of further values. */
export function states(
  words: Words & {
    queries: Query[];
    height?: number;
    off: [text: string, color: string];
    on: [text: string, color: string];
    more?: [text: string, color: string][];
    /** Series whose 1 means something else, by a regular expression. */
    except?: { names: string; on: [text: string, color: string] };
  },
): Panel {
  const panel = dress(new statetimeline.PanelBuilder(), words, words.height ?? 9, 12)
    .noValue(words.empty ?? 'No traffic')
    .mergeValues(true)
    .rowHeight(0.8)
    .showValue(common.VisibilityMode.Auto)
    .fillOpacity(70)
    .lineWidth(0)
    .mappings(named(Object.fromEntries([words.off, words.on, ...(words.more ?? [])].entries())))
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Single).sort(common.SortOrder.None));
  if (words.except) {
    const mappings = named({ '0': words.off, '1': words.except.on });
    panel.overrideByRegexp(words.except.names, [{ id: 'mappings', value: mappings }]);
  }
  words.queries.forEach((query, at) => panel.withTarget(target(at, query)));
  return panel;
}

/** A table of labels and one value. */
export function list(
  words: Words & {
    expr: string;
    value: string;
    hide: string[];
    height?: number;
    /** Columns from left to right, each with its width in pixels. The others follow. */
    widths?: Record<string, number>;
    /** The colors of the values of a column. */
    colors?: Record<string, Record<string, string>>;
    /** The column whose values order the rows, in alphabetical order. */
    sort?: string;
  },
): Panel {
  const panel = dress(new tables.PanelBuilder(), words, words.height ?? 8, 12)
    .noValue(words.empty ?? 'No traffic')
    .withTarget(target(0, ['', words.expr]).instant().format(PromQueryFormat.Table))
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', '__name__', ...words.hide].map((name) => [name, true])),
        renameByName: { Value: words.value },
        indexByName: Object.fromEntries(Object.keys(words.widths ?? {}).map((name, at) => [name, at])),
      },
    })
    // A row without one of the labels would show the word for an empty table in its cell.
    .overrideByRegexp('.*', [{ id: 'noValue', value: '–' }]);
  for (const [name, width] of Object.entries(words.widths ?? {})) {
    panel.overrideByName(name, [{ id: 'custom.width', value: width }]);
  }
  for (const [name, colors] of Object.entries(words.colors ?? {})) {
    panel.overrideByName(name, [
      { id: 'mappings', value: named(Object.fromEntries(Object.entries(colors).map(([value, color]) => [value, [value, color]]))) },
      { id: 'custom.cellOptions', value: { type: 'color-text' } },
    ]);
  }
  if (words.sort) panel.withTransformation({ id: 'sortBy', options: { sort: [{ field: words.sort, desc: false }] } });
  return panel;
}

/** What a column of a table shows, and the bounds that colour its cells. */
export interface Column {
  name: string;
  unit: string;
  decimals?: number;
  expr: string;
  limits?: Words['limits'];
}

interface Sort {
  by: string;
  desc: boolean;
}

/** Several values for each combination of labels: a row each, a column for each query. */
export function table(
  words: Words & {
    labels: string[];
    columns: Column[];
    /** Of several, the most important one first. */
    sort: Sort | Sort[];
    /** Rows without a value in the first column stay. */
    every?: boolean;
    /** The label whose value selects itself when it is clicked. */
    link?: string;
    height?: number;
  },
): Panel {
  const { columns } = words;
  const panel = dress(new tables.PanelBuilder(), words, words.height ?? 8, 12)
    .noValue(words.empty ?? 'No traffic')
    .withTransformation({ id: 'merge', options: {} });
  if (!words.every) {
    panel.withTransformation({
      // The first column decides which rows there are.
      id: 'filterByValue',
      options: {
        type: 'exclude',
        match: 'any',
        filters: [{ fieldName: 'Value #A', config: { id: 'isNull', options: {} } }],
      },
    });
  }
  panel
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: Object.fromEntries(
          [...words.labels, ...columns.map((_, at) => `Value #${refId(at)}`)].map((name, at) => [name, at]),
        ),
        renameByName: Object.fromEntries(columns.map(({ name }, at) => [`Value #${refId(at)}`, name])),
      },
    })
    // A cell without a value would show the word for an empty table.
    .overrideByRegexp('.*', [{ id: 'noValue', value: '–' }]);
  // Grafana sorts by one column at a time and keeps the order of equal rows.
  for (const { by, desc } of [words.sort].flat().reverse()) {
    panel.withTransformation({ id: 'sortBy', options: { sort: [{ field: by, desc }] } });
  }
  columns.forEach(({ name, unit, decimals, expr, limits }, at) => {
    panel.withTarget(target(at, [name, expr]).instant().format(PromQueryFormat.Table)).overrideByName(name, [
      { id: 'unit', value: unit },
      ...(decimals === undefined ? [] : [{ id: 'decimals', value: decimals }]),
      ...(limits
        ? [
            // Only what is unusual has a color.
            { id: 'thresholds', value: thresholds(limits, 'text').build() },
            { id: 'color', value: { mode: 'thresholds' } },
            { id: 'custom.cellOptions', value: { type: 'color-text' } },
          ]
        : []),
    ]);
  });
  if (words.link) {
    const url = `/d/${'${__dashboard.uid}'}?var-${words.link}=${'${__value.text}'}&${'${__url_time_range}'}`;
    panel.overrideByName(words.link, [{ id: 'links', value: [{ title: `Select this ${words.link}`, url }] }]);
  }
  return panel;
}

/**
 * One number against another, with a point for each value of the label `join`. Both queries are instant and keep only
 * that label. Points are joined in the order of x.
 */
export function curve(
  words: Words & { join: string; x: { name: string; expr: string }; y: { name: string; expr: string }[] },
): Panel {
  const names = [words.x, ...words.y];
  const byName = (options: string) => ({ matcher: { id: 'byName', options } });
  const panel = dress(new xychart.PanelBuilder(), words, 10, 12)
    .show(xychart.XYShowMode.PointsAndLines)
    .pointSize({ fixed: 8 })
    .lineWidth(2)
    .noValue(words.empty ?? 'No traffic')
    .overrideByName(words.x.name, [{ id: 'unit', value: 'none' }, { id: 'custom.axisLabel', value: words.x.name }])
    .mapping(xychart.SeriesMapping.Manual)
    .series(
      words.y.map(({ name }) =>
        new xychart.XYSeriesConfigBuilder()
          .name({ fixed: name })
          .frame({ matcher: { id: 'byIndex', options: 0 } })
          .x(byName(words.x.name))
          .y(byName(name)),
      ),
    )
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Single).sort(common.SortOrder.None))
    .withTransformation({ id: 'joinByField', options: { byField: words.join, mode: 'inner' } })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(names.map((_, at) => [`Time ${at + 1}`, true])),
        renameByName: Object.fromEntries(names.map(({ name }, at) => [`Value #${refId(at)}`, name])),
      },
    })
    .withTransformation({ id: 'sortBy', options: { sort: [{ field: words.x.name, desc: false }] } });
  names.forEach(({ name, expr }, at) =>
    panel.withTarget(target(at, [name, expr]).instant().format(PromQueryFormat.Table)),
  );
  return panel;
}

/** The methods that every kind of panel builder has. */
interface Dressed {
  title(title: string): this;
  description(text: string): this;
  datasource(ref: common.DataSourceRef): this;
  unit(unit: string): this;
  height(h: number): this;
  span(w: number): this;
  decimals(decimals: number): this;
  min(min: number): this;
  max(max: number): this;
  thresholds(thresholds: Builder<dashboard.ThresholdsConfig>): this;
  colorScheme(color: Builder<dashboard.FieldColor>): this;
}

function dress<P extends Dressed>(panel: P, words: Words, height: number, width: number): P {
  panel.title(words.title).description(words.description).datasource(DATASOURCE).unit(words.unit);
  panel.height(height).span(words.width ?? width).thresholds(thresholds(words.limits));
  // Without limits, a color only distinguishes series.
  const scheme = words.limits && height < 8 ? 'thresholds' : 'palette-classic';
  panel.colorScheme(new dashboard.FieldColorBuilder().mode(scheme as dashboard.FieldColorModeId));
  if (words.decimals !== undefined) panel.decimals(words.decimals);
  if (words.min !== undefined) panel.min(words.min);
  if (words.max !== undefined) panel.max(words.max);
  return panel;
}

function thresholds(limits: Words['limits'], usual = 'green'): Builder<dashboard.ThresholdsConfig> {
  const steps: dashboard.Threshold[] = [];
  // The first step has no bound, which Grafana expects as null.
  const base = (color: string) => ({ value: null, color });
  if (!limits) {
    steps.push(base(usual));
  } else if (limits.below) {
    steps.push(base('red'));
    if (limits.look !== undefined) steps.push({ value: limits.wrong, color: 'orange' });
    steps.push({ value: limits.look ?? limits.wrong, color: usual });
  } else {
    steps.push(base(usual));
    if (limits.look !== undefined) steps.push({ value: limits.look, color: 'orange' });
    steps.push({ value: limits.wrong, color: 'red' });
    if (limits.worst !== undefined) steps.push({ value: limits.worst, color: 'dark-red' });
  }
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps);
}

function named(mappings: Record<string, [text: string, color: string]> = {}): dashboard.ValueMapping[] {
  const options = Object.fromEntries(
    Object.entries(mappings).map(([value, [text, color]], index) => [value, { text, color, index }]),
  );
  return Object.keys(options).length === 0 ? [] : [{ type: dashboard.MappingType.ValueToText, options }];
}

/** Values to replace: 0 / 0 (NaN), and no value. */
function unheard(text: string): dashboard.ValueMapping {
  const options = { match: dashboard.SpecialValueMatch.NullAndNan, result: { text, color: 'text' } };
  return { type: dashboard.MappingType.SpecialValue, options };
}

function target(at: number, [legend, expr]: Query): DataqueryBuilder {
  return new DataqueryBuilder().datasource(DATASOURCE).refId(refId(at)).expr(expr).legendFormat(legend).range();
}

function refId(at: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + at);
}
