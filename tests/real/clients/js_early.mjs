// How many of ten refusals of large requests JavaScript's clients read. Usage: node js_early.mjs URL, with NODE_PATH
// naming the folder that has the clients. Prints {client: {bytes: answers}}.
import { createRequire } from 'node:module';

// `import` does not use NODE_PATH.
const require = createRequire(import.meta.url);
const { Ollama } = require('ollama');
const { OpenAI } = require('openai');

const url = process.argv[2];
const SIZES = [100_000, 1_000_000, 5_000_000, 20_000_000];

const clients = {
  async fetch(text) {
    const body = JSON.stringify({ model: 'm', prompt: text });
    const response = await fetch(`${url}/api/generate`, { method: 'POST', body });
    return (await response.json()).error && response.status;
  },
  async openai(text) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    try {
      await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: text }] });
    } catch (error) {
      if (error.status === undefined) throw error;
      return error.status;
    }
  },
  async ollama(text) {
    try {
      await new Ollama({ host: url }).generate({ model: 'm', prompt: text });
    } catch (error) {
      if (error.status_code === undefined) throw error;
      return error.status_code;
    }
  },
};

const found = {};
for (const [name, client] of Object.entries(clients)) {
  found[name] = {};
  for (const size of SIZES) {
    found[name][size] = 0;
    for (let time = 0; time < 10; time += 1) {
      try {
        if ((await client('a'.repeat(size))) === 401) found[name][size] += 1;
      } catch (error) {
        console.error(name, size, error, error.cause);
      }
    }
  }
}
console.log(JSON.stringify(found));
