import { Board, MODELS, UPSTREAMS, Variable } from './board';
import { lines, list, number, states } from './panel';
import { GPU, MODEL, THROTTLED, UPSTREAM, family, increase, max, quantile, rate, ratio, select, stateOf, sum } from './query';

const GPUS: Variable = {
  kind: 'label',
  name: 'gpu',
  label: 'GPU',
  description: 'Index of the GPU.',
  from: 'streamgauge_gpu_info',
};
const EMPTY = 'No GPU seen';
// For values that some GPUs do not have.
const NOT_REPORTED = 'Not reported';
// Most cards throttle their clocks between these temperatures.
const HOT = { look: 83, wrong: 90 };
const LOADED = 'No model loaded';
// Each machine has a GPU 0.
const EACH = ['instance', 'gpu'];
const tokensPerJoule = select('instance:streamgauge_tokens_per_joule:rate5m');
// Two sidecars of one machine see the same GPU, which counts once.
const once = (inner: string) =>
  sum(max(`${inner} * on (job, instance, gpu) group_left (uuid) ${family('gpu_info', GPU)}`, 'uuid'));
const joules = once(`${sum(increase(family('gpu_energy_joules_total', GPU)), 'job', 'instance', 'gpu')}`);
const output = sum(increase(family('tokens_total', 'kind="output"', 'model!~".*[:-]cloud"')));
const pcie = sum(rate(family('gpu_pcie_bytes_total', GPU)), ...EACH, 'direction');
const link = max(family('gpu_pcie_max_bytes_per_second', GPU), ...EACH);
const pcieShare = ratio(pcie, `on (instance, gpu) group_left () ${link}`);
// The reasons in the order of their weight, with their colors. The library sets hw_slowdown together with the two after it,
// which say more.
const LIMITS: [matcher: string, text: string, color: string][] = [
  ['reason="gpu_idle"', 'gpu_idle', 'blue'],
  ['reason=~".*_clocks?_setting"', 'clocks_setting', 'blue'],
  ['reason="sw_power_cap"', 'sw_power_cap', 'blue'],
  ['reason="sync_boost"', 'sync_boost', 'orange'],
  ['reason="sw_thermal_slowdown"', 'sw_thermal_slowdown', 'red'],
  ['reason="hw_slowdown"', 'hw_slowdown', 'red'],
  ['reason="hw_power_brake_slowdown"', 'hw_power_brake_slowdown', 'red'],
  ['reason="hw_thermal_slowdown"', 'hw_thermal_slowdown', 'red'],
];
const outside = `${family('model_size_bytes', UPSTREAM, MODEL)} - ${family('model_vram_bytes', UPSTREAM, MODEL)}`;

export const gpu: Board = {
  uid: 'streamgauge-gpu',
  title: 'Streamgauge / GPU',
  description: 'How busy is the GPU, how much energy does a token need, and does the model fit into GPU memory?',
  variables: [UPSTREAMS, MODELS, GPUS],
  stats: [
    number({
      title: 'GPU power',
      description: 'Total power draw of the selected GPUs now. A GPU that several sidecars see counts once.',
      unit: 'watt',
      expr: once(family('gpu_power_watts', GPU)),
      empty: EMPTY,
    }),
    number({
      title: 'Joules per output token',
      description:
        'Energy of the selected GPUs in the selected time range, divided by the output tokens of all selected sidecars, idle time included. A GPU that several sidecars see counts once. With little traffic, idle power makes each token expensive.',
      unit: 'joule',
      decimals: 2,
      expr: ratio(joules, `(${output} > 0)`),
      empty: 'No GPU, or no traffic',
    }),
    number({
      title: 'GPU utilization',
      description:
        'Share of time in which a kernel ran, mean of the selected GPUs. It shows activity, not efficiency: it can fall while throughput rises.',
      unit: 'percentunit',
      decimals: 0,
      expr: ratio(sum(rate(family('gpu_busy_seconds_total', GPU))), `count(${family('gpu_info', GPU)})`),
      empty: EMPTY,
    }),
    number({
      title: 'GPU memory used / total',
      description: 'Used memory divided by total memory, of the fullest GPU.',
      unit: 'percentunit',
      decimals: 0,
      expr: max(ratio(family('gpu_memory_used_bytes', GPU), family('gpu_memory_total_bytes', GPU))),
      limits: { look: 0.9, wrong: 0.97 },
      empty: EMPTY,
    }),
    number({
      title: 'Highest GPU temperature',
      description:
        'Temperature of the hottest GPU. Most cards throttle their clocks between 83 °C (orange) and 90 °C (red). The panel "Clock limit reasons" shows if the temperature costs speed.',
      unit: 'celsius',
      decimals: 0,
      expr: max(family('gpu_temperature_celsius', GPU)),
      limits: HOT,
      empty: EMPTY,
    }),
    number({
      title: 'PCIe rate / link limit',
      description:
        'PCIe bytes per second of the busier direction, divided by the limit of the link. A model that fits into GPU memory hardly uses the link.',
      unit: 'percentunit',
      decimals: 1,
      expr: max(pcieShare),
      limits: { look: 0.5, wrong: 0.8 },
      empty: NOT_REPORTED,
    }),
    number({
      title: 'Clocks throttled',
      description:
        '"Yes" if temperature, the power supply or the board limits the clocks of a selected GPU. The normal power limit (`sw_power_cap`) does not count.',
      unit: 'none',
      expr: max(family('gpu_clock_limit', GPU, THROTTLED)),
      mappings: { '0': ['No', 'green'], '1': ['Yes', 'red'] },
      empty: EMPTY,
    }),
    number({
      title: 'Model bytes outside VRAM',
      description:
        'Bytes of loaded models that are not in GPU memory. Their layers run on the CPU, which costs much of the speed.',
      unit: 'bytes',
      expr: sum(outside),
      limits: { wrong: 1 },
      empty: LOADED,
    }),
  ],
  rows: [
    [
      'How much energy do the GPUs and each token need?',
      lines({
        title: 'GPU power and power limit',
        height: 9,
        description:
          'Power draw, power limit, and the 99th percentile of samples taken every 100 ms, which shows peaks between scrapes.',
        unit: 'watt',
        min: 0,
        queries: [
          ['GPU {{gpu}} of {{instance}}, draw', max(family('gpu_power_watts', GPU), ...EACH)],
          ['GPU {{gpu}} of {{instance}}, limit', max(family('gpu_power_limit_watts', GPU), ...EACH)],
          ['GPU {{gpu}} of {{instance}}, p99 of samples', quantile(0.99, 'gpu_power_sample_watts', [GPU], ...EACH)],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'Output tokens per joule by sidecar',
        height: 9,
        description:
          'Output tokens divided by the energy of all GPUs of the sidecar, idle time included (recorded over 5 minutes). It rises with the number of concurrent streams.',
        unit: 'tokens/J',
        min: 0,
        queries: [['{{instance}}', `max by (instance) (${tokensPerJoule})`]],
        empty: NOT_REPORTED,
      }),
      lines({
        title: 'Mean GPU power from the energy counter',
        description:
          'Mean power, from the energy counter of the GPU or, if it has none, from integrated power samples.',
        unit: 'watt',
        min: 0,
        queries: [['GPU {{gpu}} of {{instance}} ({{source}})', sum(rate(family('gpu_energy_joules_total', GPU)), ...EACH, 'source')]],
        empty: NOT_REPORTED,
      }),
      lines({
        title: 'GPU temperature',
        description:
          'Temperature of the chip. The dashed lines are at 83 and 90 °C, between which most cards throttle their clocks. The panel "Clock limit reasons" shows if the temperature costs speed.',
        unit: 'celsius',
        limits: HOT,
        queries: [['GPU {{gpu}} of {{instance}}', max(family('gpu_temperature_celsius', GPU), ...EACH)]],
        empty: EMPTY,
      }),
    ],
    [
      'How busy is the GPU, and how evenly?',
      lines({
        title: 'GPU utilization and its spread',
        height: 10,
        description:
          'Share of time in which a kernel ran: the newest value, the mean of all samples, and percentiles of the samples. NVML averages each sample over its own window of a sixth of a second to a second.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [
          ['GPU {{gpu}} of {{instance}}, now', max(family('gpu_utilization_ratio', GPU), ...EACH)],
          ['GPU {{gpu}} of {{instance}}, mean', max(rate(family('gpu_busy_seconds_total', GPU)), ...EACH)],
          ['GPU {{gpu}} of {{instance}}, p5', quantile(0.05, 'gpu_utilization_sample_ratio', [GPU], ...EACH)],
          ['GPU {{gpu}} of {{instance}}, p95', quantile(0.95, 'gpu_utilization_sample_ratio', [GPU], ...EACH)],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'GPU memory controller utilization',
        height: 10,
        description: 'Share of time in which GPU memory was read or written. Memory bandwidth limits decoding.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [['GPU {{gpu}} of {{instance}}', max(family('gpu_memory_utilization_ratio', GPU), ...EACH)]],
        empty: EMPTY,
      }),
    ],
    [
      'Does the model fit into GPU memory?',
      lines({
        title: 'GPU memory, measured and by Ollama',
        height: 10,
        description:
          'Used, free and total memory of the GPUs, and the memory that Ollama reports for its loaded models (/api/ps). If the used memory is far above Ollama’s figure, another program or an old runner holds it.',
        unit: 'bytes',
        min: 0,
        queries: [
          ['used', once(family('gpu_memory_used_bytes', GPU))],
          ['free', once(family('gpu_memory_free_bytes', GPU))],
          ['total', once(family('gpu_memory_total_bytes', GPU))],
          ['loaded models, by Ollama', sum(family('model_vram_bytes', UPSTREAM, MODEL))],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'GPU memory by process',
        height: 10,
        description: 'GPU memory of each process, by the name of the process.',
        unit: 'bytes',
        stacked: true,
        min: 0,
        queries: [['GPU {{gpu}} of {{instance}}, {{process}}', sum(family('gpu_process_memory_bytes', GPU), ...EACH, 'process')]],
        empty: NOT_REPORTED,
      }),
      lines({
        title: 'Model bytes outside VRAM by model',
        description:
          'Bytes of each loaded model that are not in GPU memory (size − vram). Their layers run on the CPU.',
        unit: 'bytes',
        min: 0,
        queries: [['{{upstream}} {{model}}', sum(outside, 'upstream', 'model')]],
        empty: LOADED,
      }),
      lines({
        title: 'Memory of loaded models',
        description: 'Memory of each loaded model, including its context.',
        unit: 'bytes',
        stacked: true,
        min: 0,
        queries: [['{{upstream}} {{model}}', sum(family('model_size_bytes', UPSTREAM, MODEL), 'upstream', 'model')]],
        empty: LOADED,
      }),
    ],
    [
      'Are models reloaded often?',
      lines({
        title: 'Model loads per hour',
        width: 8,
        description: 'Loads of models into memory, per hour, by upstream and model. The panel beside it shows why.',
        unit: 'loads/h',
        min: 0,
        queries: [
          ['{{upstream}} {{model}}', `3600 * ${sum(rate(family('model_loads_total', UPSTREAM, MODEL)), 'upstream', 'model')}`],
        ],
      }),
      lines({
        title: 'Model loads per hour by cause',
        width: 8,
        description:
          'Loads of models into memory, per hour. "context" and "options": clients ask for different options. "evicted": another model took the memory. "expired": keep_alive had passed. "restart": Ollama or its runner ended.',
        unit: 'loads/h',
        stacked: true,
        min: 0,
        queries: [['{{cause}}', `3600 * ${sum(rate(family('model_loads_total', UPSTREAM, MODEL)), 'cause')}`]],
      }),
      lines({
        title: 'Loaded models by upstream',
        width: 8,
        description: 'Models in memory, by upstream.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [['{{upstream}}', sum(family('model_loaded', UPSTREAM, MODEL), 'upstream')]],
        empty: LOADED,
      }),
      lines({
        title: 'Time until a model is unloaded',
        description: 'Time that each model stays loaded without new requests (keep_alive).',
        unit: 's',
        min: 0,
        queries: [['{{upstream}} {{model}}', `clamp_min(${max(family('model_expires_seconds', UPSTREAM, MODEL), 'upstream', 'model')}, 0)`]],
        empty: LOADED,
      }),
      lines({
        title: 'Context length of loaded models',
        description: 'Context that each model was loaded with, in tokens. It takes memory for every parallel slot.',
        unit: 'tokens',
        min: 0,
        queries: [['{{upstream}} {{model}}', max(family('model_context_length', UPSTREAM, MODEL), 'upstream', 'model')]],
        empty: LOADED,
      }),
    ],
    [
      'What limits the clocks?',
      states({
        title: 'Clock limit reasons',
        height: 6,
        width: 24,
        description:
          'The reason that the driver names for a limit of the clocks; of several, the one that costs most speed. Blue is normal: the GPU is idle (gpu_idle), works at its power limit (sw_power_cap) or has clocks that somebody set (clocks_setting). Red costs speed: temperature, power supply or board. Orange: the GPU follows the clocks of a slower one (sync_boost).',
        unit: 'none',
        off: ['no limit', 'green'],
        on: ['gpu_idle', 'blue'],
        more: LIMITS.slice(1).map(([, text, color]) => [text, color]),
        queries: [
          [
            'GPU {{gpu}} of {{instance}}',
            stateOf((matcher) => family('gpu_clock_limit', GPU, matcher), LIMITS.map(([matcher]) => matcher), ...EACH),
          ],
        ],
        empty: EMPTY,
      }),
      lines({
        title: 'Clock frequency by domain',
        height: 11,
        description: 'Clock frequency of each domain: graphics, streaming multiprocessors, memory, video.',
        unit: 'hertz',
        min: 0,
        queries: [['GPU {{gpu}} of {{instance}}, {{domain}}', max(family('gpu_clock_hertz', GPU), ...EACH, 'domain')]],
        empty: EMPTY,
      }),
      list({
        title: 'GPU details',
        height: 11,
        description: 'Information from the driver about each GPU. A name that contains "fake" is a GPU of the demo.',
        // As a number, the driver 580.00 would be 580.
        unit: 'string',
        expr: family('gpu_info', GPU),
        value: 'present',
        hide: ['job', 'Value'],
        empty: EMPTY,
      }),
    ],
  ],
  details: [
    [
      'Is the GPU faulty?',
      lines({
        title: 'XID errors in the time range by code',
        description:
          'Errors that the driver reported in the selected time range, by the code of NVIDIA\'s catalog: the five codes with the most. 13, 31, 43 and 45 are often bugs of a program, and the others point to the card, its slot or its driver.',
        unit: 'none',
        min: 0,
        decimals: 0,
        points: true,
        shades: 'red',
        queries: [
          ['GPU {{gpu}} of {{instance}}, XID {{xid}}', `topk(5, ${max(increase(family('gpu_xid_errors_total', GPU)), ...EACH, 'xid')}) > 0`],
        ],
        empty: 'No XID error',
      }),
      lines({
        title: 'ECC errors in the time range',
        description:
          'Memory errors that ECC corrected and could not correct, in the selected time range. A few corrected errors are normal. An error that could not be corrected ended the programs that used the memory.',
        unit: 'none',
        min: 0,
        decimals: 0,
        shades: 'red',
        queries: [
          ['GPU {{gpu}} of {{instance}}, {{kind}}, {{counter}}', `${max(increase(family('gpu_ecc_errors_total', GPU)), ...EACH, 'kind', 'counter')} > 0`],
        ],
        empty: 'No ECC error',
      }),
      lines({
        title: 'Repairs of GPU memory',
        height: 9,
        description:
          'Pages that are no longer used, and rows that spare rows replace, by the kind of error. A growing number points to memory that fails.',
        unit: 'none',
        min: 0,
        decimals: 0,
        shades: 'orange',
        queries: [
          ['GPU {{gpu}} of {{instance}}, pages, {{cause}}', max(family('gpu_retired_pages', GPU), ...EACH, 'cause')],
          ['GPU {{gpu}} of {{instance}}, rows, {{cause}}', max(family('gpu_remapped_rows', GPU), ...EACH, 'cause')],
        ],
        empty: NOT_REPORTED,
      }),
      states({
        title: 'State of memory repairs',
        height: 9,
        description:
          'Pending: a repair takes effect with the next reset of the GPU or restart of the machine. Failed: no spare row is left, so replace the card.',
        unit: 'none',
        off: ['no', 'transparent'],
        on: ['yes', 'orange'],
        except: { names: '/, failed$/', on: ['yes', 'red'] },
        queries: [['GPU {{gpu}} of {{instance}}, {{state}}', max(family('gpu_memory_repair', GPU), ...EACH, 'state')]],
        empty: NOT_REPORTED,
      }),
    ],
    [
      'Is the PCIe bus the limit?',
      lines({
        title: 'PCIe bytes per second',
        description:
          'Bytes per second over PCIe, by direction, and the limit of the link. A high rate while streams decode means that the model does not fit into GPU memory.',
        unit: 'Bps',
        min: 0,
        queries: [
          ['GPU {{gpu}} of {{instance}}, {{direction}}', pcie],
          ['GPU {{gpu}} of {{instance}}, link limit', link],
        ],
        empty: NOT_REPORTED,
      }),
      lines({
        title: 'PCIe rate / link limit by direction',
        description: 'PCIe bytes per second divided by the limit of the link.',
        unit: 'percentunit',
        min: 0,
        limits: { wrong: 0.8 },
        queries: [['GPU {{gpu}} of {{instance}}, {{direction}}', pcieShare]],
        empty: NOT_REPORTED,
      }),
      lines({
        title: 'PCIe link generation and width',
        height: 10,
        description:
          'Current and highest generation and width of the link. The generation falls when the GPU is idle. The width should not fall.',
        unit: 'none',
        min: 0,
        decimals: 0,
        queries: [
          ['GPU {{gpu}} of {{instance}}, generation, {{state}}', max(family('gpu_pcie_link_generation', GPU), ...EACH, 'state')],
          ['GPU {{gpu}} of {{instance}}, width, {{state}}', max(family('gpu_pcie_link_width', GPU), ...EACH, 'state')],
        ],
        empty: NOT_REPORTED,
      }),
      lines({
        title: 'PCIe replays per second',
        height: 10,
        description:
          'Packets that were sent again, per second. A few are normal. Growth points to a bad slot or riser.',
        unit: 'ops',
        min: 0,
        queries: [['GPU {{gpu}} of {{instance}}', sum(rate(family('gpu_pcie_replays_total', GPU)), ...EACH)]],
        empty: NOT_REPORTED,
      }),
    ],
  ],
};
