// How the official JavaScript clients read a stream behind keep-alive lines. Usage: node js_kept_alive.mjs PATIENT HASTY,
// with NODE_PATH naming the folder that has the clients.
//
// PATIENT and HASTY are URLs of sidecars with one slot, which another stream holds when a stream is asked for. In the
// queue of HASTY, the wait ends in an error.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const require = createRequire(import.meta.url);
const { Anthropic } = require('@anthropic-ai/sdk');
const { OpenAI } = require('openai');

const model = 'sim';
const messages = [{ role: 'user', content: 'Why?' }];

// The calls by name, and the text of their events.
function calls(url) {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 2 });
  const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 2 });
  return {
    chat: [
      () => openai.chat.completions.create({ model, messages, stream: true }),
      (event) => event.choices.map((choice) => choice.delta.content ?? '').join(''),
    ],
    completion: [
      () => openai.completions.create({ model, prompt: 'Why?', stream: true }),
      (event) => event.choices.map((choice) => choice.text).join(''),
    ],
    response: [
      () => openai.responses.create({ model, input: 'Why?', stream: true }),
      (event) => (event.type === 'response.output_text.delta' ? event.delta : ''),
    ],
    message: [
      () => anthropic.messages.create({ model, max_tokens: 100, messages, stream: true }),
      (event) => (event.type === 'content_block_delta' ? event.delta.text : ''),
    ],
  };
}

// A stream that holds the slot. The result is a function that reads it to its end.
async function holder(url) {
  const events = (await calls(url).chat[0]())[Symbol.asyncIterator]();
  await events.next();
  return async () => {
    while (!(await events.next()).done);
  };
}

async function streamed(url, name) {
  const [call, text] = calls(url)[name];
  const release = await holder(url);
  const began = performance.now();
  const events = (await call())[Symbol.asyncIterator]();
  const head = (performance.now() - began) / 1000;
  await release();
  let { value, done } = await events.next();
  const first = (performance.now() - began) / 1000;
  let whole = '';
  while (!done) {
    whole += text(value);
    ({ value, done } = await events.next());
  }
  return { head, first, text: whole };
}

async function failure(url, name) {
  const release = await holder(url);
  try {
    for await (const _ of await calls(url)[name][0]());
  } catch (error) {
    await release();
    return {
      class: error.constructor.name,
      status: error.status ?? null,
      text: error.message,
      body: error.error,
    };
  }
  throw new Error('an error was due');
}

const [patient, hasty] = process.argv.slice(2);
const seen = { streams: {}, failures: {} };
for (const name of Object.keys(calls(patient))) seen.streams[name] = await streamed(patient, name);
for (const name of Object.keys(calls(hasty))) seen.failures[name] = await failure(hasty, name);
console.log(JSON.stringify(seen));
