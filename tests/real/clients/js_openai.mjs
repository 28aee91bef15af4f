// The OpenAI client's use of Ollama. Usage: [KEY=…] node js_openai.mjs URL MODEL [EMBEDDER], with NODE_PATH naming the
// folder that has the client.
import { createRequire } from 'node:module';

// An import would not look into NODE_PATH.
const { OpenAI } = createRequire(import.meta.url)('openai');

const [url, model, embedder] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.KEY ?? 'unused', maxRetries: 0 });
const settings = { model, max_tokens: 12, seed: 1, temperature: 0 };
const messages = [{ role: 'user', content: 'Name three colours.' }];
// What differs between two runs of the same question.
const VOLATILE = new Set(['created', 'id']);
const told = { prompt_tokens: 0, output_tokens: 0 };

const stripped = (answer) =>
  JSON.parse(JSON.stringify(answer, (key, value) => (VOLATILE.has(key) ? undefined : value)));

function counted(answer) {
  told.prompt_tokens += answer.usage?.prompt_tokens ?? 0;
  told.output_tokens += answer.usage?.completion_tokens ?? 0;
  return stripped(answer);
}

async function streamed(stream) {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(counted(chunk));
  return chunks;
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
const answers = {
  chat: counted(await chat.create({ messages, ...settings })),
  chat_stream: await streamed(chat.create({ messages, ...settings, ...withUsage })),
  completion: counted(await client.completions.create({ prompt: 'The sky is', ...settings })),
  completion_stream: await streamed(client.completions.create({ prompt: 'The sky is', ...settings, ...withUsage })),
  models: await listed(),
  model: stripped(await client.models.retrieve(model)),
  missing: await failure(() => chat.create({ model: 'no-such-model', messages })),
};
if (embedder) {
  answers.embeddings = counted(await client.embeddings.create({ model: embedder, input: ['one sentence', 'and another'] }));
}
console.log(JSON.stringify({ answers, ...told }));
