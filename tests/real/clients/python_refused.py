"""How the official Python clients report a refusal. Usage: python_refused.py URL"""

import json
import os
import sys
import time

import ollama
import openai

url = sys.argv[1]
model = "sim"
messages = [{"role": "user", "content": "Why?"}]


def chat(key):
    client = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"})
    return lambda **settings: client.chat(model, messages, **settings)


def completion(key, retries=0):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries)
    return lambda **settings: client.chat.completions.create(model=model, messages=messages, **settings)


def failure(call):
    try:
        call()
    except (ollama.ResponseError, openai.APIStatusError) as error:
        text = error.error if isinstance(error, ollama.ResponseError) else error.body["message"]
        return {"class": type(error).__name__, "status": error.status_code, "text": text}
    raise SystemExit("an error was due")


def refusals(client, limited):
    seen = {"no_key": failure(client("wrong")), "closed": failure(client("closed"))}
    client(limited)()
    seen["limited"] = failure(client(limited))
    stream = iter(client("open")(stream=True))
    next(stream)
    seen["full"] = failure(client("open"))
    for _ in stream:
        pass
    return seen


def retried(key):
    call = completion(key, retries=5)
    call()
    began = time.monotonic()
    call()
    return time.monotonic() - began


def long(key):
    """A wait of an hour, for a client that may retry twice."""
    call = completion(key, retries=2)
    call()
    began = time.monotonic()
    return {**failure(call), "waited": time.monotonic() - began}


def by_variable(key):
    os.environ["OLLAMA_API_KEY"] = key
    try:
        ollama.Client(host=url).chat(model, messages)
    except ollama.ResponseError as error:
        return error.status_code
    return 200


print(json.dumps({
    "by_variable": by_variable("open"),
    "long": long("limited-four"),
    "ollama": refusals(chat, "limited-one"),
    "openai": refusals(completion, "limited-two"),
    "retried": retried("limited-three"),
}))
