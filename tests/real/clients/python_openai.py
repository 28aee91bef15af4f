"""The OpenAI client's use of Ollama. Usage: [KEY=…] python_openai.py URL MODEL [EMBEDDER]"""

import json
import os
import sys

import openai

url, model, embedder = (sys.argv[1:] + [None])[:3]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("KEY", "unused"), max_retries=0)
settings = {"model": model, "max_tokens": 12, "seed": 1, "temperature": 0}
messages = [{"role": "user", "content": "Name three colours."}]
# Fields that differ between two runs of the same request.
VOLATILE = {"completed_at", "created", "created_at", "id", "item_id"}
told = {"prompt_tokens": 0, "cached_tokens": 0, "output_tokens": 0}


def stripped(value):
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: stripped(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [stripped(inner) for inner in value]
    return value


def count(usage, prompt, output):
    told["prompt_tokens"] += getattr(usage, f"{prompt}_tokens")
    told["output_tokens"] += getattr(usage, f"{output}_tokens", 0)
    details = getattr(usage, f"{prompt}_tokens_details", None)
    told["cached_tokens"] += getattr(details, "cached_tokens", None) or 0


def counted(answer):
    if usage := getattr(answer, "usage", None):
        count(usage, "prompt", "completion")
    return stripped(answer)


def responded(answer):
    if usage := getattr(getattr(answer, "response", answer), "usage", None):
        count(usage, "input", "output")
    return stripped(answer)


def attempt(call):
    """The response, or the refusal of an Ollama without the route."""
    try:
        return call()
    except openai.NotFoundError as error:
        return {"status": error.status_code, "body": error.body}


def streamed(chunks):
    return [counted(chunk) for chunk in chunks]


def failure(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"status": error.status_code, "body": error.body}
    raise SystemExit("an error was due")


response = {"model": model, "input": "Name three colours.", "max_output_tokens": 12, "temperature": 0}
with_usage = {"stream": True, "stream_options": {"include_usage": True}}
answers = {
    "chat": counted(client.chat.completions.create(messages=messages, **settings)),
    "chat_stream": streamed(client.chat.completions.create(messages=messages, **settings, **with_usage)),
    "completion": counted(client.completions.create(prompt="The sky is", **settings)),
    "completion_stream": streamed(client.completions.create(prompt="The sky is", **settings, **with_usage)),
    "models": sorted(listed.id for listed in client.models.list()),
    "model": stripped(client.models.retrieve(model)),
    "responses": attempt(lambda: responded(client.responses.create(**response))),
    "responses_stream": attempt(lambda: [responded(event) for event in client.responses.create(**response, stream=True)]),
    "missing": failure(lambda: client.chat.completions.create(model="no-such-model", messages=messages)),
    "responses_missing": failure(lambda: client.responses.create(model="no-such-model", input="x")),
}
if embedder:
    answers["embeddings"] = counted(client.embeddings.create(model=embedder, input=["one sentence", "and another"]))
print(json.dumps({"answers": answers, **told}, sort_keys=True))
