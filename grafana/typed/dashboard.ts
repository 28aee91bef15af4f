// The type of a dashboard's JSON, panel by panel, in the types of Grafana's own schema. `tests/monitoring` writes each
// committed dashboard as a literal of this type and compiles it: an unknown option or a misspelt value is an error.
import type { AnnotationQuery, DataQuery, Dashboard, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type { Options as Bars } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as StateField,
  Options as States,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type { Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  FieldConfig as SeriesField,
  Options as Series,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type {
  FieldConfig as CurveField,
  Options as Curve,
} from '@grafana/schema/dist/esm/raw/composable/xychart/panelcfg/x/XYChartPanelCfg_types.gen';

/** The form in JSON: the value of an enum instead of its name. */
export type Wire<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer Item)[]
      ? Wire<Item>[]
      : T extends object
        ? { [Key in keyof T]: Wire<T[Key]> }
        : T;

/** The fields that the Prometheus data source adds to a query. No package of Grafana's schema has their types. */
interface Query extends DataQuery {
  expr: string;
  range: boolean;
  instant: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  legendFormat: string;
}

type Of<Type extends string, Options, Field> = Omit<Panel<Options, Field>, 'type' | 'options' | 'targets'> & {
  type: Type;
  options: Options;
  targets: Query[];
};

type Shown =
  | Of<'bargauge', Bars, Record<never, never>>
  | Of<'state-timeline', States, StateField>
  | Of<'stat', Stat, Record<never, never>>
  | Of<'table', Table, Record<string, unknown>>
  | Of<'timeseries', Series, SeriesField>
  | Of<'xychart', Curve, CurveField>;

/** A closed row contains its panels. */
type Any = Shown | (Omit<RowPanel, 'type' | 'panels'> & { type: 'row'; panels: Shown[] });

/** The fields that the Prometheus datasource adds to an annotation. */
interface Annotation extends AnnotationQuery {
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
}

export type Board = Wire<
  Omit<Dashboard, 'annotations' | 'panels' | 'templating'> & {
    annotations: { list: Annotation[] };
    panels: Any[];
    templating: { list: VariableModel[] };
  }
>;
