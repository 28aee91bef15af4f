"""The OpenAI client's use of Ollama. Usage: [KEY=…] python_openai.py URL MODEL [EMBEDDER]"""

import json
import os
import sys

import openai

url, model, embedder = (sys.argv[1:] + [None])[:3]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("KEY", "unused"), max_retries=0)
settings = {"model": model, "max_tokens": 12, "seed": 1, "temperature": 0}
messages = [{"role": "user", "content": "Name three colours."}]
# What differs between two runs of the same question.
VOLATILE = {"created", "id"}
told = {"prompt_tokens": 0, "output_tokens": 0}


def stripped(value):
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: stripped(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [stripped(inner) for inner in value]
    return value


def counted(answer):
    if usage := getattr(answer, "usage", None):
        told["prompt_tokens"] += usage.prompt_tokens
        told["output_tokens"] += getattr(usage, "completion_tokens", 0)
    return stripped(answer)


def streamed(chunks):
    return [counted(chunk) for chunk in chunks]


def failure(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"status": error.status_code, "body": error.body}
    raise SystemExit("an error was due")


with_usage = {"stream": True, "stream_options": {"include_usage": True}}
answers = {
    "chat": counted(client.chat.completions.create(messages=messages, **settings)),
    "chat_stream": streamed(client.chat.completions.create(messages=messages, **settings, **with_usage)),
    "completion": counted(client.completions.create(prompt="The sky is", **settings)),
    "completion_stream": streamed(client.completions.create(prompt="The sky is", **settings, **with_usage)),
    "models": sorted(listed.id for listed in client.models.list()),
    "model": stripped(client.models.retrieve(model)),
    "responses": failure(lambda: client.responses.create(model=model, input="x")),
    "missing": failure(lambda: client.chat.completions.create(model="no-such-model", messages=messages)),
}
if embedder:
    answers["embeddings"] = counted(client.embeddings.create(model=embedder, input=["one sentence", "and another"]))
print(json.dumps({"answers": answers, **told}, sort_keys=True))
