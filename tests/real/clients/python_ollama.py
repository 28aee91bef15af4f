"""Most of what the official Python client offers. Usage: [KEY=…] python_ollama.py URL MODEL [EMBEDDER]"""

import json
import os
import sys

import ollama

url, model, embedder = (sys.argv[1:] + [None])[:3]
key = os.environ.get("KEY")
client = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"} if key else None)
options = {"num_predict": 12, "seed": 1, "temperature": 0}
messages = [{"role": "user", "content": "Name three colours."}]
# Fields that differ between two runs of the same request.
VOLATILE = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "expires_at", "modified_at"}
# Ollama lists parameters in any order.
LISTS = {"modelfile", "parameters"}
told = {"prompt_tokens": 0, "cached_tokens": 0, "output_tokens": 0}


def stripped(value):
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        value = {key: sorted(inner.splitlines()) if key in LISTS and inner else inner for key, inner in value.items()}
        return {key: stripped(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [stripped(inner) for inner in value]
    return value


def counted(answer):
    told["prompt_tokens"] += answer.get("prompt_eval_count") or 0
    # Reported since 0.34. It is missing as long as this client drops unknown fields.
    told["cached_tokens"] += answer.get("prompt_eval_cached_count") or 0
    told["output_tokens"] += answer.get("eval_count") or 0
    return stripped(answer)


def streamed(answers):
    return [counted(answer) for answer in answers]


def failure(call):
    try:
        call()
    except ollama.ResponseError as error:
        return {"status": error.status_code, "error": error.error}
    raise SystemExit("an error was due")


answers = {
    "generate": counted(client.generate(model, "Why is the sky blue?", options=options)),
    "generate_stream": streamed(client.generate(model, "Why is the sky blue?", options=options, stream=True)),
    "chat": counted(client.chat(model, messages, options=options)),
    "chat_stream": streamed(client.chat(model, messages, options=options, stream=True)),
    "chat_json": counted(client.chat(model, messages, options=options, format="json")),
    "show": stripped(client.show(model)),
    "list": sorted(stripped(client.list())["models"], key=lambda listed: listed["model"]),
    "ps": sorted(running.model for running in client.ps().models),
    "copy": stripped(client.copy(model, "copied-by-python")),
    "create": [step.status for step in client.create("made-by-python", from_=model, system="Be brief.", stream=True)],
    "made": counted(client.generate("made-by-python", "Hello.", options=options)),
    "delete": [stripped(client.delete(name)) for name in ("copied-by-python", "made-by-python")],
    "missing": failure(lambda: client.generate("no-such-model", "x")),
    "missing_stream": failure(lambda: list(client.chat("no-such-model", messages, stream=True))),
}
if embedder:
    answers["embed"] = counted(client.embed(embedder, ["one sentence", "and another one"]))
    answers["embeddings"] = stripped(client.embeddings(embedder, "one sentence"))
print(json.dumps({"answers": answers, **told}, sort_keys=True))
