// The Anthropic client's use of Ollama. Usage: [KEY=…] node js_anthropic.mjs URL MODEL, with NODE_PATH naming the folder
// that has the client.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const { Anthropic } = createRequire(import.meta.url)('@anthropic-ai/sdk');

const [url, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: process.env.KEY ?? 'unused', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Name three colours.' }];
const settings = { model, max_tokens: 12, temperature: 0, messages };
// Fields that differ between two runs of the same request.
const VOLATILE = new Set(['id', 'request_id', '_request_id']);
const told = { prompt_tokens: 0, cached_tokens: 0, output_tokens: 0 };

const stripped = (answer) =>
  JSON.parse(JSON.stringify(answer, (key, value) => (VOLATILE.has(key) ? undefined : value)));

function counted(answer) {
  // The usage of message_start, which is inside its message, is an estimate.
  const cached = answer.usage?.cache_read_input_tokens ?? 0;
  // `input_tokens` counts the tokens that were not cached.
  told.prompt_tokens += (answer.usage?.input_tokens ?? 0) + cached;
  told.cached_tokens += cached;
  told.output_tokens += answer.usage?.output_tokens ?? 0;
  return stripped(answer);
}

async function streamed(stream) {
  const events = [];
  for await (const event of await stream) events.push(counted(event));
  return events;
}

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { status: error.status, error: stripped(error.error) };
  }
  throw new Error('an error was due');
}

const answers = {
  message: counted(await client.messages.create(settings)),
  message_stream: await streamed(client.messages.create({ ...settings, stream: true })),
  message_assembled: counted(await client.messages.stream(settings).finalMessage()),
  message_system: counted(await client.messages.create({ ...settings, system: 'Be brief.' })),
  missing: await failure(() => client.messages.create({ ...settings, model: 'no-such-model' })),
  missing_stream: await failure(() => client.messages.create({ ...settings, model: 'no-such-model', stream: true })),
};
console.log(JSON.stringify({ answers, ...told }));
