import { Board, MODELS, UPSTREAMS, Variable } from './board';
import { lines, list, number } from './panel';
import { GPU, MODEL, UPSTREAM, family, max, quantile, rate, ratio, select, sum } from './query';

const GPUS: Variable = {
  kind: 'label',
  name: 'gpu',
  label: 'GPU',
  description: 'By its index.',
  from: 'streamgauge_gpu_info',
};
const EMPTY = 'No GPU seen';
const LOADED = 'No model loaded';
// Reasons that hold nobody up: nothing to do, and clocks that an operator fixed.
const HELD_DOWN = 'reason!~"gpu_idle|.*_clocks?_setting"';
const tokensPerJoule = select('instance:streamgauge_tokens_per_joule:rate5m');
const pcie = sum(rate(family('gpu_pcie_bytes_total', GPU)), 'gpu', 'direction');
const link = max(family('gpu_pcie_max_bytes_per_second', GPU), 'gpu');
const pcieShare = ratio(pcie, `on (gpu) group_left () ${link}`);
const outside = `${family('model_size_bytes', UPSTREAM, MODEL)} - ${family('model_vram_bytes', UPSTREAM, MODEL)}`;

export const gpu: Board = {
  uid: 'streamgauge-gpu',
  title: 'Streamgauge / GPU',
  description: 'What does the GPU do, what does a token cost, and does the model fit?',
  variables: [UPSTREAMS, MODELS, GPUS],
  stats: [
    number({
      title: 'Power',
      description: 'What the chosen GPUs draw now.',
      unit: 'watt',
      expr: sum(family('gpu_power_watts', GPU)),
      empty: EMPTY,
    }),
    number({
      title: 'Energy of a token',
      description:
        'Joules of all GPUs of a sidecar by its output tokens, idle time included (recorded over 5 minutes). A card that idles at 130 W makes few tokens dear.',
      unit: 'joule',
      decimals: 2,
      expr: `1 / max(${tokensPerJoule})`,
      empty: 'No traffic',
    }),
    number({
      title: 'Utilization',
      description: 'Share of time with a kernel running. It says busy, not well used: it falls while throughput rises.',
      unit: 'percentunit',
      decimals: 0,
      expr: ratio(sum(rate(family('gpu_busy_seconds_total', GPU))), `count(${family('gpu_info', GPU)})`),
      empty: EMPTY,
    }),
    number({
      title: 'Memory',
      description: 'Used share of the fullest GPU.',
      unit: 'percentunit',
      decimals: 0,
      expr: max(ratio(family('gpu_memory_used_bytes', GPU), family('gpu_memory_total_bytes', GPU))),
      limits: { look: 0.9, wrong: 0.97 },
      empty: EMPTY,
    }),
    number({
      title: 'Temperature',
      description: 'The hottest GPU. The clocks say whether it is too hot: see what holds them down.',
      unit: 'celsius',
      expr: max(family('gpu_temperature_celsius', GPU)),
      empty: EMPTY,
    }),
    number({
      title: 'Link in use',
      description: 'PCIe rate of the busier direction by the link’s limit. A model that fits hardly uses it.',
      unit: 'percentunit',
      decimals: 1,
      expr: max(pcieShare),
      limits: { look: 0.5, wrong: 0.8 },
      empty: EMPTY,
    }),
    number({
      title: 'Held down',
      description: 'Whether something holds the clocks of a GPU down: power, heat, the board.',
      unit: 'none',
      expr: max(family('gpu_clock_limit', GPU, HELD_DOWN)),
      mappings: { '0': ['No', 'green'], '1': ['Yes', 'orange'] },
      empty: EMPTY,
    }),
    number({
      title: 'On the CPU',
      description: 'Bytes of loaded models that are not in GPU memory. Any at all cost much of the speed.',
      unit: 'bytes',
      expr: sum(outside),
      limits: { wrong: 1 },
      empty: LOADED,
    }),
  ],
  rows: [
    [
      'What does it draw, and what does a token cost?',
      lines({
        title: 'Power',
        description: 'Draw beside its limit, and the 99th percentile of samples taken every 100 ms: a spike between scrapes.',
        unit: 'watt',
        min: 0,
        queries: [
          ['{{gpu}} draw', max(family('gpu_power_watts', GPU), 'gpu')],
          ['{{gpu}} limit', max(family('gpu_power_limit_watts', GPU), 'gpu')],
          ['{{gpu}} p99 of samples', quantile(0.99, 'gpu_power_sample_watts', [GPU], 'gpu')],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'Tokens by energy',
        description:
          'Output tokens a joule, by sidecar: all its GPUs, idle time included (recorded over 5 minutes). Rises with streams at once.',
        unit: 'tokens/J',
        min: 0,
        queries: [['{{instance}}', `max by (instance) (${tokensPerJoule})`]],
        empty: EMPTY,
      }),
      lines({
        title: 'Energy',
        description: 'Mean power from the energy counter of the device, or integrated where it has none.',
        unit: 'watt',
        min: 0,
        queries: [['{{gpu}} ({{source}})', sum(rate(family('gpu_energy_joules_total', GPU)), 'gpu', 'source')]],
        empty: EMPTY,
      }),
      lines({
        title: 'Temperature',
        description: 'Of the chip. Whether it costs speed is said by what holds the clocks down.',
        unit: 'celsius',
        queries: [['{{gpu}}', max(family('gpu_temperature_celsius', GPU), 'gpu')]],
        empty: EMPTY,
      }),
    ],
    [
      'Is it busy, and how evenly?',
      lines({
        title: 'Utilization and its spread',
        description:
          'Share of time with a kernel running: now, integrated over every sample, and the spread of the samples. NVML averages over its own window, a sixth of a second to a second.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [
          ['{{gpu}} now', max(family('gpu_utilization_ratio', GPU), 'gpu')],
          ['{{gpu}} mean', max(rate(family('gpu_busy_seconds_total', GPU)), 'gpu')],
          ['{{gpu}} p5', quantile(0.05, 'gpu_utilization_sample_ratio', [GPU], 'gpu')],
          ['{{gpu}} p95', quantile(0.95, 'gpu_utilization_sample_ratio', [GPU], 'gpu')],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'Memory’s own utilization',
        description: 'Share of time in which GPU memory was read or written. Decoding is bound by it.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [['{{gpu}}', max(family('gpu_memory_utilization_ratio', GPU), 'gpu')]],
        empty: EMPTY,
      }),
    ],
    [
      'Does the model fit?',
      lines({
        title: 'Memory, and what Ollama says of it',
        description:
          'Used, free and whole memory of the GPUs beside what /api/ps says that the loaded models take. Used far above: another program, or a runner that was left behind.',
        unit: 'bytes',
        min: 0,
        queries: [
          ['used', sum(family('gpu_memory_used_bytes', GPU))],
          ['free', sum(family('gpu_memory_free_bytes', GPU))],
          ['in all', sum(family('gpu_memory_total_bytes', GPU))],
          ['models, says Ollama', sum(family('model_vram_bytes', UPSTREAM, MODEL))],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'Memory by process',
        description: 'GPU memory of each process, by its name.',
        unit: 'bytes',
        stacked: true,
        min: 0,
        queries: [['{{gpu}} {{process}}', sum(family('gpu_process_memory_bytes', GPU), 'gpu', 'process')]],
        empty: EMPTY,
      }),
      lines({
        title: 'Outside GPU memory',
        description: 'Bytes of each loaded model that are not in GPU memory (size − vram). Those layers run on the CPU.',
        unit: 'bytes',
        min: 0,
        queries: [['{{upstream}} {{model}}', sum(outside, 'upstream', 'model')]],
        empty: LOADED,
      }),
      lines({
        title: 'Size of the loaded models',
        description: 'What each loaded model takes, its context included.',
        unit: 'bytes',
        stacked: true,
        min: 0,
        queries: [['{{upstream}} {{model}}', sum(family('model_size_bytes', UPSTREAM, MODEL), 'upstream', 'model')]],
        empty: LOADED,
      }),
    ],
    [
      'Are models loaded anew?',
      lines({
        title: 'Loads',
        description: 'Loads of models into memory, an hour. Two models that push each other out show here.',
        unit: 'loads/h',
        min: 0,
        queries: [
          ['{{upstream}} {{model}}', `3600 * ${sum(rate(family('model_loads_total', UPSTREAM, MODEL)), 'upstream', 'model')}`],
        ],
      }),
      lines({
        title: 'Loaded models',
        description: 'Models in memory, by upstream.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [['{{upstream}}', sum(family('model_loaded', UPSTREAM, MODEL), 'upstream')]],
        empty: LOADED,
      }),
      lines({
        title: 'Until unloaded',
        description: 'How long each model stays if nobody asks for it (keep_alive).',
        unit: 's',
        min: 0,
        queries: [['{{upstream}} {{model}}', max(family('model_expires_seconds', UPSTREAM, MODEL), 'upstream', 'model')]],
        empty: LOADED,
      }),
      lines({
        title: 'Context',
        description: 'Context that each model was loaded with, tokens. It takes memory for every parallel slot.',
        unit: 'none',
        min: 0,
        queries: [['{{upstream}} {{model}}', max(family('model_context_length', UPSTREAM, MODEL), 'upstream', 'model')]],
        empty: LOADED,
      }),
    ],
    [
      'Is the bus the limit?',
      lines({
        title: 'PCIe rate',
        description: 'Bytes a second over PCIe by direction. Much of it while decoding means that the model does not fit.',
        unit: 'Bps',
        min: 0,
        queries: [
          ['{{gpu}} {{direction}}', pcie],
          ['{{gpu}} limit of the link', link],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'PCIe rate by limit',
        description: 'Share of the link’s limit in use, by direction.',
        unit: 'percentunit',
        min: 0,
        limits: { wrong: 0.8 },
        queries: [['{{gpu}} {{direction}}', pcieShare]],
        empty: EMPTY,
      }),
      lines({
        title: 'Link',
        description: 'Generation and width now, beside the most there is. Generation falls at rest; width should not.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [
          ['{{gpu}} generation, {{state}}', max(family('gpu_pcie_link_generation', GPU), 'gpu', 'state')],
          ['{{gpu}} width, {{state}}', max(family('gpu_pcie_link_width', GPU), 'gpu', 'state')],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'Replays',
        description: 'Packets sent again, a second. A handful are nothing; growth is a bad slot or riser.',
        unit: 'ops',
        min: 0,
        queries: [['{{gpu}}', sum(rate(family('gpu_pcie_replays_total', GPU)), 'gpu')]],
        empty: EMPTY,
      }),
    ],
    [
      'What holds the clocks down?',
      lines({
        title: 'Clocks',
        description: 'By domain: graphics, streaming multiprocessors, memory, video.',
        unit: 'hertz',
        min: 0,
        queries: [['{{gpu}} {{domain}}', max(family('gpu_clock_hertz', GPU), 'gpu', 'domain')]],
        empty: EMPTY,
      }),
      lines({
        title: 'Reasons',
        description: '1 while the driver names it as what limits the clocks. "Idle" is one of them and means nothing bad.',
        unit: 'none',
        min: 0,
        max: 1,
        decimals: 0,
        queries: [['{{gpu}} {{reason}}', max(family('gpu_clock_limit', GPU), 'gpu', 'reason')]],
        empty: EMPTY,
      }),
      list({
        title: 'Which GPUs',
        description: 'What the driver says of each GPU. A name that says "fake" is the demo’s.',
        unit: 'none',
        width: 24,
        expr: family('gpu_info', GPU),
        value: 'present',
        hide: ['job'],
        empty: EMPTY,
      }),
    ],
  ],
};
