"""Agents in Python, as in TR117 (Technical Report 117): asyncio and httpx, one event loop per process.

The program reads a job (one line of JSON) and commands from stdin. It reports on stdout: a line of JSON, followed by as many
doubles, in the machine's format, as the line announces.
"""
import array
import asyncio
import json
import os
import platform
import sys
import time

HAND_ON, SCHEDULE, YIELD = 0.25, 0.01, 0.1
clock = time.perf_counter
COUNTS = ("eval_count", "eval_duration", "prompt_eval_count", "prompt_eval_duration", "load_duration", "total_duration")


def tell(line, doubles=None):
    data = json.dumps(line).encode() + b"\n"
    if doubles is not None:
        data += doubles.tobytes()
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]


class Bucket:
    """Lets a token pass every 1/rate seconds. After a delay, at most one token is made up for."""

    def __init__(self, rate):
        self.every = 1.0 / rate
        self.due = clock()

    async def acquire(self, amount):
        now = clock()
        self.due = max(self.due, now - self.every) + self.every * amount
        if self.due > now:
            await asyncio.sleep(self.due - now)


class LeakyBucket:
    """The bucket of TR117 as printed (2.4). It lets twice its rate through."""

    def __init__(self, rate):
        self.rate = rate
        self.tokens = 0.0
        self.last_update = clock()

    async def acquire(self, amount):
        now = clock()
        elapsed = now - self.last_update
        self.tokens += elapsed * self.rate
        self.last_update = now
        if self.tokens < amount:
            wait_time = (amount - self.tokens) / self.rate
            await asyncio.sleep(wait_time)
            self.tokens = 0
        else:
            self.tokens -= amount


def short(text):
    line = "".join(" " if ord(letter) < 32 else letter for letter in str(text)).strip()
    return line[:200]


def refusal(response, body):
    try:
        told = json.loads(body)["error"]
        return "%d %s: Ollama says: %s" % (response.status_code, response.reason_phrase, short(told))
    except (ValueError, KeyError, TypeError):
        return "%d %s" % (response.status_code, response.reason_phrase)


class Agent:
    def __init__(self, task, job, client, loads):
        self.number, self.url = task["agent"], task["url"]
        self.body = json.dumps(task["body"]).encode()
        self.job, self.client, self.loads = job, client, loads
        self.arrivals = array.array("d")
        self.bucket = None
        self.rest = b""
        self.done = self.begun = False
        self.texts = [] if job["keep_text"] else None
        self.ending = {"agent": self.number, "started": 0.0, "duration": 0.0, "chunks": 0, "bytes": 0}

    async def ask(self, httpx):
        if self.job["pace"]:
            self.bucket = Bucket(self.job["pace"])
        elif self.job["leaky_pace"]:
            self.bucket = LeakyBucket(self.job["leaky_pace"])
        ending = self.ending
        started = ending["started"] = clock()
        try:
            await self.read(started)
        except httpx.HTTPError as error:
            ending.setdefault("failure", short(error) or type(error).__name__)
        ending["duration"] = clock() - started
        if self.texts is not None:
            ending["text"] = "".join(self.texts)
        tell({"ended": ending})

    async def read(self, started):
        headers = {"content-type": "application/json"}
        async with self.client.stream("POST", self.url, content=self.body, headers=headers) as response:
            if response.status_code != 200:
                self.ending["failure"] = refusal(response, await response.aread())
                return
            batch = self.job["batch"]
            if batch is None:
                async for chunk in response.aiter_bytes(self.job["read_buffer"]):
                    await self.handle(chunk, started)
            else:
                # The batches of TR117 (8.2). Unlike there, the last part is passed on too.
                buffer, last = [], clock()
                async for chunk in response.aiter_bytes(self.job["read_buffer"]):
                    buffer.append(chunk)
                    now = clock()
                    if now - last >= batch:
                        await self.handle(b"".join(buffer), started)
                        buffer.clear()
                        last = now
                if buffer:
                    await self.handle(b"".join(buffer), started)
        if self.rest.strip():
            self.lines([self.rest])
        if not self.done:
            self.ending.setdefault("failure", "the stream ended without its final record")

    async def handle(self, chunk, started):
        at = clock()
        lines = (self.rest + chunk).split(b"\n")
        self.rest = lines.pop()
        records, tokens = self.lines(lines)
        after = clock()
        if self.begun and "first_token" not in self.ending:
            self.ending["first_token"] = after - started
        self.ending["chunks"] += 1
        self.ending["bytes"] += len(chunk)
        if self.job["record"]:
            self.arrivals.extend((at, len(chunk), records, after - at))
        if self.bucket is not None and tokens:
            await self.bucket.acquire(tokens)

    def lines(self, lines):
        records = tokens = 0
        for line in lines:
            if not line.strip():
                continue
            try:
                record = self.loads(line)
            except ValueError:
                self.ending.setdefault("failure", "a line that is not JSON")
                continue
            records += 1
            message = record.get("message") or record
            text = record.get("response") or message.get("content") or ""
            thinking = message.get("thinking") or ""
            if text or thinking:
                tokens += 1
                self.begun = True
                if self.texts is not None:
                    self.texts.append(thinking + text)
            if "error" in record:
                self.ending.setdefault("failure", "Ollama says: " + short(record["error"]))
            if record.get("done"):
                self.done = True
                for name in COUNTS:
                    if name in record:
                        self.ending[name] = record[name]
        return records, tokens


async def by_schedule(samples):
    """Wakes at fixed times and records how late each wake-up was. A long stall is one late wake-up."""
    due = clock() + SCHEDULE
    while True:
        await asyncio.sleep(max(0.0, due - clock()))
        now = clock()
        samples.extend((now, max(0.0, now - due)))
        while due <= now:
            due += SCHEDULE


async def by_yielding(samples):
    """The LoopLagMonitor of TR117 (2.2)."""
    while True:
        scheduled = clock()
        await asyncio.sleep(0)
        now = clock()
        samples.extend((now, now - scheduled))
        await asyncio.sleep(YIELD)


async def hand_on(agents, schedule, yields):
    def now():
        for agent in agents:
            if agent.arrivals:
                tell({"arrivals": {"agent": agent.number, "rows": len(agent.arrivals) // 4}}, agent.arrivals)
                del agent.arrivals[:]
        for probe, samples in (("schedule", schedule), ("yield", yields)):
            if samples:
                tell({"lags": {"probe": probe, "rows": len(samples) // 2}}, samples)
                del samples[:]

    try:
        while True:
            await asyncio.sleep(HAND_ON)
            now()
    finally:
        now()


async def work(job, httpx, loads, clients):
    agents = [Agent(task, job, client, loads) for task, client in zip(job["tasks"], clients)]
    schedule, yields = array.array("d"), array.array("d")
    before, beside = time.process_time(), []
    if job["record"]:
        beside = [by_schedule(schedule), by_yielding(yields), hand_on(agents, schedule, yields)]
        beside = [asyncio.ensure_future(task) for task in beside]
    await asyncio.gather(*(agent.ask(httpx) for agent in agents))
    cpu = time.process_time() - before
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    tell({"over": {"cpu": cpu}})


def imported(job):
    """Imports the packages that the job needs. Reports their versions, or the missing packages."""
    names = ["httpx"] + [name for name in ("uvloop", "orjson") if job[name]]
    modules, missing, versions = {}, [], {"python": platform.python_version()}
    for name in names:
        try:
            modules[name] = __import__(name)
            versions[name] = str(getattr(modules[name], "__version__", "?"))
        except ImportError:
            missing.append(name)
    # httpx imports these when it first connects, which would count in the time to first token.
    for name in ("anyio._backends._asyncio", "httpcore"):
        try:
            __import__(name)
        except ImportError:
            pass
    if missing:
        tell({"missing": missing})
        sys.exit(3)
    return modules, versions


def main():
    job = json.loads(sys.stdin.buffer.readline())
    modules, versions = imported(job)
    httpx = modules["httpx"]
    loads = modules["orjson"].loads if "orjson" in modules else json.loads
    # All agents share one context, because creating it takes longer than a request.
    context = httpx.create_ssl_context()
    clients = [httpx.AsyncClient(timeout=None, trust_env=False, verify=context) for _ in job["tasks"]]
    tell({"ready": versions})
    for line in sys.stdin.buffer:
        if line == b"clock\n":
            tell({"clock": clock()})
        elif line == b"go\n":
            break
    else:
        return
    loop = modules["uvloop"].new_event_loop() if "uvloop" in modules else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(work(job, httpx, loads, clients))


try:
    main()
except BrokenPipeError:
    # The reader has closed the pipe.
    os._exit(4)
