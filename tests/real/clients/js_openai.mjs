// The OpenAI client's use of Ollama. Usage: [KEY=…] node js_openai.mjs URL MODEL [EMBEDDER], with NODE_PATH naming the
// folder that has the client.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const { OpenAI } = createRequire(import.meta.url)('openai');

const [url, model, embedder] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.KEY ?? 'unused', maxRetries: 0 });
const settings = { model, max_tokens: 12, seed: 1, temperature: 0 };
const messages = [{ role: 'user', content: 'Name three colours.' }];
// Fields that differ between two runs of the same request.
const VOLATILE = new Set(['completed_at', 'created', 'created_at', 'id', 'item_id']);
const told = { prompt_tokens: 0, cached_tokens: 0, output_tokens: 0 };

const stripped = (answer) =>
  JSON.parse(JSON.stringify(answer, (key, value) => (VOLATILE.has(key) ? undefined : value)));

function counted(answer) {
  // The last event of `responses` has its usage in the response.
  const usage = answer.usage ?? answer.response?.usage;
  told.prompt_tokens += usage?.prompt_tokens ?? usage?.input_tokens ?? 0;
  told.output_tokens += usage?.completion_tokens ?? usage?.output_tokens ?? 0;
  const details = usage?.prompt_tokens_details ?? usage?.input_tokens_details;
  told.cached_tokens += details?.cached_tokens ?? 0;
  return stripped(answer);
}

async function streamed(stream) {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(counted(chunk));
  return chunks;
}

// The response, or the refusal of an Ollama without the route.
async function attempt(call) {
  try {
    return await call();
  } catch (error) {
    if (error.status !== 404) throw error;
    return { status: error.status, error: error.error };
  }
}

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { status: error.status, error: error.error };
  }
  throw new Error('an error was due');
}

async function listed() {
  const names = [];
  for await (const entry of client.models.list()) names.push(entry.id);
  return names.sort();
}

const withUsage = { stream: true, stream_options: { include_usage: true } };
const chat = client.chat.completions;
const response = { model, input: 'Name three colours.', max_output_tokens: 12, temperature: 0 };
const answers = {
  chat: counted(await chat.create({ messages, ...settings })),
  chat_stream: await streamed(chat.create({ messages, ...settings, ...withUsage })),
  completion: counted(await client.completions.create({ prompt: 'The sky is', ...settings })),
  completion_stream: await streamed(client.completions.create({ prompt: 'The sky is', ...settings, ...withUsage })),
  responses: await attempt(async () => counted(await client.responses.create(response))),
  responses_stream: await attempt(() => streamed(client.responses.create({ ...response, stream: true }))),
  models: await listed(),
  model: stripped(await client.models.retrieve(model)),
  missing: await failure(() => chat.create({ model: 'no-such-model', messages })),
  responses_missing: await failure(() => client.responses.create({ model: 'no-such-model', input: 'x' })),
};
if (embedder) {
  answers.embeddings = counted(await client.embeddings.create({ model: embedder, input: ['one sentence', 'and another'] }));
}
console.log(JSON.stringify({ answers, ...told }));
