// Most of what the official JavaScript client offers. Usage: [KEY=…] node js_ollama.mjs URL MODEL [EMBEDDER], with
// NODE_PATH naming the folder that has the client.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const { Ollama } = createRequire(import.meta.url)('ollama');

const [url, model, embedder] = process.argv.slice(2);
const key = process.env.KEY;
const client = new Ollama({ host: url, headers: key ? { Authorization: `Bearer ${key}` } : {} });
const options = { num_predict: 12, seed: 1, temperature: 0 };
const messages = [{ role: 'user', content: 'Name three colours.' }];
// Fields that differ between two runs of the same request.
const VOLATILE = new Set([
  'created_at', 'total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration', 'expires_at', 'modified_at',
]);
// Ollama lists parameters in any order.
const LISTS = new Set(['modelfile', 'parameters']);
const told = { prompt_tokens: 0, cached_tokens: 0, output_tokens: 0 };

const stripped = (answer) =>
  JSON.parse(
    JSON.stringify(answer, (key, value) => {
      if (VOLATILE.has(key)) return undefined;
      return LISTS.has(key) && value ? value.split('\n').sort() : value;
    }),
  );

function counted(answer) {
  told.prompt_tokens += answer.prompt_eval_count ?? 0;
  told.cached_tokens += answer.prompt_eval_cached_count ?? 0;
  told.output_tokens += answer.eval_count ?? 0;
  return stripped(answer);
}

async function streamed(stream) {
  const answers = [];
  for await (const answer of await stream) answers.push(counted(answer));
  return answers;
}

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { status: error.status_code, error: error.error };
  }
  throw new Error('an error was due');
}

const answers = {
  generate: counted(await client.generate({ model, prompt: 'Why is the sky blue?', options })),
  generate_stream: await streamed(client.generate({ model, prompt: 'Why is the sky blue?', options, stream: true })),
  chat: counted(await client.chat({ model, messages, options })),
  chat_stream: await streamed(client.chat({ model, messages, options, stream: true })),
  show: stripped(await client.show({ model })),
  list: stripped(await client.list()).models.sort((a, b) => a.model.localeCompare(b.model)),
  ps: (await client.ps()).models.map((running) => running.model).sort(),
  version: await client.version(),
  copy: await client.copy({ source: model, destination: 'copied-by-js' }),
  create: (await streamed(client.create({ model: 'made-by-js', from: model, system: 'Be brief.', stream: true })))
    .map((step) => step.status),
  delete: [await client.delete({ model: 'copied-by-js' }), await client.delete({ model: 'made-by-js' })],
  missing: await failure(() => client.chat({ model: 'no-such-model', messages })),
};
if (embedder) {
  answers.embed = counted(await client.embed({ model: embedder, input: ['one sentence', 'and another one'] }));
  answers.embeddings = await client.embeddings({ model: embedder, prompt: 'one sentence' });
}
console.log(JSON.stringify({ answers, ...told }));
