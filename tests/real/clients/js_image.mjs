// An image of BYTES bytes by the official JavaScript clients. Usage: [KEY=…] node js_image.mjs URL MODEL BYTES, with
// NODE_PATH naming the folder that has the clients.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const require = createRequire(import.meta.url);
const { Ollama } = require('ollama');
const { OpenAI } = require('openai');

const [url, model, size] = process.argv.slice(2);
const key = process.env.KEY;
// The same in every run and hardly compressible: a linear congruential generator, with the header of a PNG.
const image = Buffer.alloc(Number(size));
let state = 1;
for (let at = 0; at < image.length; at += 1) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  image[at] = state >>> 24;
}
Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]).copy(image);
const encoded = image.toString('base64');
const question = 'What is this?';
// Fields that differ between two runs of the same request.
const VOLATILE = new Set([
  'created_at', 'total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration', 'created', 'id',
]);

const stripped = (answer) =>
  JSON.parse(JSON.stringify(answer, (name, value) => (VOLATILE.has(name) ? undefined : value)));

async function asked(call) {
  try {
    const answer = await call();
    if (!(Symbol.asyncIterator in answer)) return stripped(answer);
    const records = [];
    for await (const record of answer) records.push(stripped(record));
    return records;
  } catch (error) {
    return { status: error.status_code ?? error.status, error: error.error };
  }
}

const native = new Ollama({ host: url, headers: key ? { Authorization: `Bearer ${key}` } : {} });
const compatible = new OpenAI({ baseURL: `${url}/v1`, apiKey: key ?? 'unused', maxRetries: 0 });
const options = { num_predict: 4, seed: 1, temperature: 0 };
const shown = [{ role: 'user', content: question, images: [encoded] }];
const content = [
  { type: 'text', text: question },
  { type: 'image_url', image_url: { url: `data:image/png;base64,${encoded}` } },
];
const told = { messages: [{ role: 'user', content }], model, max_tokens: 4, seed: 1, temperature: 0 };
const chat = (more) => compatible.chat.completions.create({ ...told, ...more });
console.log(JSON.stringify({
  chat: await asked(() => native.chat({ messages: shown, model, options })),
  chat_stream: await asked(() => native.chat({ messages: shown, model, options, stream: true })),
  generate: await asked(() => native.generate({ images: [encoded], prompt: question, model, options })),
  openai_chat: await asked(() => chat({})),
  openai_chat_stream: await asked(() => chat({ stream: true })),
}));
