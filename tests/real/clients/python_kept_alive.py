"""How the official Python clients read a stream behind keep-alive lines. Usage: python_kept_alive.py PATIENT HASTY

PATIENT and HASTY are URLs of sidecars with one slot, which another stream holds when a stream is asked for. In the queue
of HASTY, the wait ends in an error.
"""

import json
import sys
import time

import anthropic
import openai

model = "sim"
messages = [{"role": "user", "content": "Why?"}]


def calls(url):
    """The calls by name, and the text of their events."""
    of_openai = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=2)
    of_anthropic = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=2)
    return {
        "chat": (
            lambda: of_openai.chat.completions.create(model=model, messages=messages, stream=True),
            lambda event: "".join(choice.delta.content or "" for choice in event.choices),
        ),
        "completion": (
            lambda: of_openai.completions.create(model=model, prompt="Why?", stream=True),
            lambda event: "".join(choice.text for choice in event.choices),
        ),
        "response": (
            lambda: of_openai.responses.create(model=model, input="Why?", stream=True),
            lambda event: event.delta if event.type == "response.output_text.delta" else "",
        ),
        "message": (
            lambda: of_anthropic.messages.create(model=model, max_tokens=100, messages=messages, stream=True),
            lambda event: event.delta.text if event.type == "content_block_delta" else "",
        ),
    }


def holder(url):
    """A stream that holds the slot."""
    stream = iter(calls(url)["chat"][0]())
    next(stream)
    return stream


def read(stream):
    for _ in stream:
        pass


def streamed(url, name):
    call, text = calls(url)[name]
    held = holder(url)
    began = time.monotonic()
    stream = call()
    head = time.monotonic() - began
    read(held)
    events = iter(stream)
    whole = text(next(events))
    first = time.monotonic() - began
    return {"head": head, "first": first, "text": whole + "".join(text(event) for event in events)}


def failure(url, name):
    held = holder(url)
    try:
        read(calls(url)[name][0]())
    except (openai.APIError, anthropic.APIError) as error:
        read(held)
        return {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "text": error.message,
            "body": error.body,
        }
    raise SystemExit("an error was due")


patient, hasty = sys.argv[1:3]
print(json.dumps({
    "streams": {name: streamed(patient, name) for name in calls(patient)},
    "failures": {name: failure(hasty, name) for name in calls(hasty)},
}))
