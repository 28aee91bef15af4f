"""How many of ten refusals of large requests Python's clients read. Usage: python_early.py URL

Prints {client: {bytes: answers}}. Each client sends its request before it looks for an answer.
"""

import http.client
import json
import sys
import urllib.parse

import httpx
import ollama
import openai

url = sys.argv[1]
SIZES = [100_000, 1_000_000, 5_000_000, 20_000_000]


def http_client(text):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/api/chat", json.dumps({"model": "m", "prompt": text}))
    response = connection.getresponse()
    return response.status if json.loads(response.read())["error"] else None


def httpx_client(text):
    response = httpx.post(f"{url}/api/generate", json={"model": "m", "prompt": text}, timeout=60)
    return response.status_code if response.json()["error"] else None


def openai_client(text):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0, timeout=60)
    try:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    except openai.APIStatusError as error:
        return error.status_code


def ollama_client(text):
    try:
        ollama.Client(host=url, timeout=60).generate("m", text)
    except ollama.ResponseError as error:
        return error.status_code


def answers(client, size):
    read = 0
    for _ in range(10):
        try:
            read += client("a" * size) == 401
        except Exception as error:
            print(client.__name__, size, repr(error), file=sys.stderr)
    return read


clients = [http_client, httpx_client, openai_client, ollama_client]
print(json.dumps({client.__name__: {size: answers(client, size) for size in SIZES} for client in clients}))
