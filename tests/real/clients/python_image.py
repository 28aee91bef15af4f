"""An image of BYTES bytes by the official Python clients. Usage: [KEY=…] python_image.py URL MODEL BYTES"""

import base64
import json
import os
import random
import sys

import ollama
import openai

url, model, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
key = os.environ.get("KEY")
# The same in every run, and not compressible.
image = b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(size)
question = "What is this?"
# Fields that differ between two runs of the same request.
VOLATILE = {
    "created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "created", "id"
}


def stripped(value):
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: stripped(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [stripped(inner) for inner in value]
    return value


def asked(call):
    try:
        return stripped(call())
    except ollama.ResponseError as error:
        return {"status": error.status_code, "error": error.error}
    except openai.APIStatusError as error:
        return {"status": error.status_code, "body": error.body}


native = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"} if key else None)
compatible = openai.OpenAI(base_url=f"{url}/v1", api_key=key or "unused", max_retries=0)
options = {"num_predict": 4, "seed": 1, "temperature": 0}
shown = [{"role": "user", "content": question, "images": [image]}]
data = "data:image/png;base64," + base64.b64encode(image).decode()
parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": data}}]
told = {"messages": [{"role": "user", "content": parts}], "model": model, "max_tokens": 4, "seed": 1, "temperature": 0}
chat = compatible.chat.completions.create
print(json.dumps({
    "chat": asked(lambda: native.chat(model, shown, options=options)),
    "chat_stream": asked(lambda: list(native.chat(model, shown, options=options, stream=True))),
    "generate": asked(lambda: native.generate(model, question, images=[image], options=options)),
    "openai_chat": asked(lambda: chat(**told)),
    "openai_chat_stream": asked(lambda: list(chat(**told, stream=True))),
}))
