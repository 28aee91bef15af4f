// How the official JavaScript clients report a refusal. Usage: node js_refused.mjs URL, with NODE_PATH naming the
// folder that has the clients.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const require = createRequire(import.meta.url);
const { Ollama } = require('ollama');
const { OpenAI } = require('openai');

const url = process.argv[2];
const model = 'sim';
const messages = [{ role: 'user', content: 'Why?' }];

function chat(key) {
  const client = new Ollama({ host: url, headers: { Authorization: `Bearer ${key}` } });
  return (settings) => client.chat({ model, messages, ...settings });
}

function completion(key, maxRetries = 0) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries });
  return (settings) => client.chat.completions.create({ model, messages, ...settings });
}

async function failure(call) {
  try {
    await call();
  } catch (error) {
    const own = error.name === 'ResponseError';
    const text = own ? error.error : error.error.message;
    return { class: own ? error.name : error.constructor.name, status: error.status_code ?? error.status, text };
  }
  throw new Error('an error was due');
}

async function refusals(client, limited) {
  const seen = { no_key: await failure(client('wrong')), closed: await failure(client('closed')) };
  await client(limited)();
  seen.limited = await failure(client(limited));
  const stream = (await client('open')({ stream: true }))[Symbol.asyncIterator]();
  await stream.next();
  seen.full = await failure(client('open'));
  while (!(await stream.next()).done);
  return seen;
}

async function retried(key) {
  const call = completion(key, 5);
  await call();
  const began = performance.now();
  await call();
  return (performance.now() - began) / 1000;
}

// A wait of an hour, for a client that may retry twice.
async function long(key) {
  const call = completion(key, 2);
  await call();
  const began = performance.now();
  return { ...(await failure(call)), waited: (performance.now() - began) / 1000 };
}

async function byVariable(key) {
  process.env.OLLAMA_API_KEY = key;
  try {
    await new Ollama({ host: url }).chat({ model, messages });
  } catch (error) {
    return error.status_code;
  }
  return 200;
}

console.log(JSON.stringify({
  by_variable: await byVariable('open'),
  long: await long('limited-four'),
  ollama: await refusals(chat, 'limited-one'),
  openai: await refusals(completion, 'limited-two'),
  retried: await retried('limited-three'),
}));
