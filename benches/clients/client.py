"""Reads streams as a program of agents does, and prints the cost. Usage: client.py httpx|ollama URL STREAMS

Prints one JSON object: tokens (by Ollama's own count), CPU time of this process per token in µs, lag of its event
loop at the median and the 99th percentile in ms (how late a probe on a fixed schedule of 10 ms wakes), and a digest
of each stream's text, which must be the same for every connection. CPU time and lag are measured after every stream
has begun, since the cost of connections and requests is not of interest.
"""

import asyncio
import hashlib
import json
import sys
import time

import httpx
import ollama

library, url, streams = sys.argv[1], sys.argv[2], int(sys.argv[3])
request = {"model": "sim", "messages": [{"role": "user", "content": "Tell a story."}], "stream": True}
PERIOD = 0.010


class Begin:
    """Set when every stream has begun."""

    def __init__(self):
        self.waiting, self.letters, self.lags = streams, 0, []

    def read(self, text, record):
        self.letters += len(record)
        if text:
            return
        self.waiting -= 1
        if self.waiting == 0:
            self.cpu, self.before, self.lags[:] = time.process_time(), self.letters, []


begin = Begin()


async def with_httpx(client):
    text, tokens = [], 0
    async with client.stream("POST", f"{url}/api/chat", json=request) as response:
        async for line in response.aiter_lines():
            record = json.loads(line)
            begin.read(text, record["message"]["content"])
            text.append(record["message"]["content"])
            tokens = record.get("eval_count", tokens)
    return "".join(text), tokens


async def with_ollama(client):
    text, tokens = [], 0
    async for record in await client.chat(**request):
        begin.read(text, record.message.content)
        text.append(record.message.content)
        tokens = record.eval_count or tokens
    return "".join(text), tokens


async def probe(lags):
    due = time.perf_counter()
    while True:
        due += PERIOD
        await asyncio.sleep(due - time.perf_counter())
        late = time.perf_counter() - due
        lags.append(late)
        # A stall counts as one lag, not as one for each missed probe.
        due += late // PERIOD * PERIOD


async def main():
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    settings = {"timeout": None, "limits": limits, "trust_env": False}
    if library == "httpx":
        client, read = httpx.AsyncClient(**settings), with_httpx
    else:
        client, read = ollama.AsyncClient(host=url, **settings), with_ollama
    lag = asyncio.create_task(probe(begin.lags))
    answers = await asyncio.gather(*(read(client) for _ in range(streams)))
    spent = time.process_time() - begin.cpu
    lag.cancel()
    lags = sorted(begin.lags)
    tokens = sum(tokens for _, tokens in answers)
    # The tokens since every stream has begun, estimated by their share of the text.
    since = tokens * (1 - begin.before / begin.letters)
    print(json.dumps({
        "tokens": tokens,
        "cpu_us": spent / since * 1e6,
        "lag_p50_ms": lags[len(lags) // 2] * 1e3,
        "lag_p99_ms": lags[len(lags) * 99 // 100] * 1e3,
        "texts": sorted({hashlib.sha256(text.encode()).hexdigest() for text, _ in answers}),
    }))


asyncio.run(main())
