"""Compares the CPU time of the Python agents with the loop that TR117 prints (2.2), on the same streams.

overhead.py URL MODEL [AGENTS TOKENS ROUNDS]: medians, in turn. URL is an Ollama, or `streamgauge simulate`.
"""
import asyncio
import json
import pathlib
import statistics
import subprocess
import sys
import time

import httpx

AGENT = pathlib.Path(__file__).parents[3] / "crates/lab/src/experiment/process/agent.py"
URL, MODEL = sys.argv[1], sys.argv[2]
AGENTS, TOKENS, ROUNDS = [int(value) for value in sys.argv[3:6] or (2, 400, 7)]
BODY = {"model": MODEL, "prompt": "why", "stream": True, "options": {"num_predict": TOKENS, "temperature": 0}}


class LoopLagMonitor:
    """The loop as printed in TR117."""

    def __init__(self, loop, interval_ms=100):
        self.loop = loop
        self.interval = interval_ms / 1000.0
        self.lag_samples = []

    async def monitor(self):
        while True:
            scheduled_time = self.loop.time()
            await asyncio.sleep(0)
            actual_time = self.loop.time()
            lag_ms = (actual_time - scheduled_time) * 1000.0
            self.lag_samples.append(lag_ms)
            await asyncio.sleep(self.interval)


async def agent(client, chunk_metrics):
    last_chunk_time = time.perf_counter()
    text = []
    async with client.stream("POST", URL + "/api/generate", json=BODY) as response:
        async for chunk in response.aiter_bytes():
            chunk_start = time.perf_counter()
            # As printed, but for chunks of several lines, on which json.loads fails.
            for line in chunk.splitlines():
                data = json.loads(line)
                text.append(data.get("response", ""))
            parse_duration = (time.perf_counter() - chunk_start) * 1000.0
            chunk_metrics.append({
                "timestamp": chunk_start,
                "bytes": len(chunk),
                "gap_ms": (chunk_start - last_chunk_time) * 1000.0,
                "parse_ms": parse_duration,
            })
            last_chunk_time = chunk_start


async def theirs():
    monitor = asyncio.ensure_future(LoopLagMonitor(asyncio.get_running_loop()).monitor())
    clients = [httpx.AsyncClient(timeout=None) for _ in range(AGENTS)]
    metrics, before = [], time.process_time()
    await asyncio.gather(*(agent(client, metrics) for client in clients))
    spent = time.process_time() - before
    monitor.cancel()
    return spent, len(metrics)


def ours():
    tasks = [{"agent": number, "url": URL + "/api/generate", "body": BODY} for number in range(AGENTS)]
    job = {"tasks": tasks, "uvloop": False, "orjson": False, "batch": None, "read_buffer": None, "pace": None,
           "leaky_pace": None, "keep_text": False, "record": True}
    child = subprocess.Popen([sys.executable, "-u", AGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdin.write(json.dumps(job).encode() + b"\n")
    child.stdin.flush()
    assert "ready" in json.loads(child.stdout.readline())
    child.stdin.write(b"go\n")
    child.stdin.flush()
    chunks = 0
    while True:
        line = json.loads(child.stdout.readline())
        if "arrivals" in line:
            child.stdout.read(32 * line["arrivals"]["rows"])
        elif "lags" in line:
            child.stdout.read(16 * line["lags"]["rows"])
        elif "ended" in line:
            assert "failure" not in line["ended"], line
            chunks += line["ended"]["chunks"]
        elif "over" in line:
            child.wait()
            return line["over"]["cpu"], chunks


def printed():
    """Runs the loop of TR117 in a separate process, like the agents."""
    told = subprocess.run([sys.executable, __file__, *sys.argv[1:3], str(AGENTS), str(TOKENS), "0"], capture_output=True)
    return tuple(json.loads(told.stdout))


if ROUNDS == 0:
    print(json.dumps(asyncio.run(theirs())))
    sys.exit()
found = {"the report's loop": [], "our agent": []}
for _ in range(ROUNDS):
    for name, run in (("the report's loop", printed), ("our agent", ours)):
        cpu, chunks = run()
        found[name].append(1e6 * cpu / chunks)
medians = {name: statistics.median(values) for name, values in found.items()}
for name, values in found.items():
    print("%-18s %6.1f µs of CPU a chunk (%.1f to %.1f)" % (name, medians[name], min(values), max(values)))
report, own = medians.values()
print("overhead: %+.1f %%" % (100 * (own / report - 1)))
