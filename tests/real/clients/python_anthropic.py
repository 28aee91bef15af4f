"""The Anthropic client's use of Ollama. Usage: [KEY=…] python_anthropic.py URL MODEL"""

import json
import os
import sys

import anthropic

url, model = sys.argv[1:3]
client = anthropic.Anthropic(base_url=url, api_key=os.environ.get("KEY", "unused"), max_retries=0)
settings = {"model": model, "max_tokens": 12, "extra_body": {"temperature": 0}}
messages = [{"role": "user", "content": "Name three colours."}]
# Fields that differ between two runs of the same request.
VOLATILE = {"id", "request_id"}
told = {"prompt_tokens": 0, "cached_tokens": 0, "output_tokens": 0}


def stripped(value):
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: stripped(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [stripped(inner) for inner in value]
    return value


def counted(answer):
    # The usage of message_start, which is inside its message, is an estimate.
    if usage := getattr(answer, "usage", None):
        cached = getattr(usage, "cache_read_input_tokens", None) or 0
        # `input_tokens` counts the tokens that were not cached.
        told["prompt_tokens"] += (usage.input_tokens or 0) + cached
        told["cached_tokens"] += cached
        told["output_tokens"] += usage.output_tokens
    return stripped(answer)


def assembled():
    with client.messages.stream(messages=messages, **settings) as stream:
        return counted(stream.get_final_message())


def failure(call):
    try:
        call()
    except anthropic.APIStatusError as error:
        return {"status": error.status_code, "body": stripped(error.body)}
    raise SystemExit("an error was due")


answers = {
    "message": counted(client.messages.create(messages=messages, **settings)),
    "message_stream": [counted(event) for event in client.messages.create(messages=messages, **settings, stream=True)],
    "message_assembled": assembled(),
    "message_system": counted(client.messages.create(system="Be brief.", messages=messages, **settings)),
    "missing": failure(lambda: client.messages.create(model="no-such-model", max_tokens=12, messages=messages)),
    "missing_stream": failure(
        lambda: client.messages.create(model="no-such-model", max_tokens=12, messages=messages, stream=True)
    ),
}
print(json.dumps({"answers": answers, **told}, sort_keys=True))
