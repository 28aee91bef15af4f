"""Measures a tokenizer's file: encode, decode, and decode one token at a time. Stdin has the text, with NUL between pieces."""
import json
import sys
import time

try:
    import tokenizers
except ImportError:
    print(json.dumps({"missing": "tokenizers"}))
    sys.exit(0)

file, one_by_one = sys.argv[1], int(sys.argv[2])
pieces = sys.stdin.buffer.read().decode().split("\0")
clock = time.perf_counter

began = clock()
tokenizer = tokenizers.Tokenizer.from_file(file)
load = clock() - began

began = clock()
encoded = [tokenizer.encode(piece, add_special_tokens=False).ids for piece in pieces]
encode = clock() - began

began = clock()
for ids in encoded:
    tokenizer.decode(ids, skip_special_tokens=False)
decode = clock() - began

streamed, stream = 0, 0.0
try:
    from tokenizers.decoders import DecodeStream
except ImportError:
    pass
else:
    few = [token for ids in encoded for token in ids][:one_by_one]
    decoder = DecodeStream(skip_special_tokens=False)
    began = clock()
    for token in few:
        decoder.step(tokenizer, token)
    streamed, stream = len(few), clock() - began

print(json.dumps({
    "tokens": sum(map(len, encoded)), "load": load, "encode": encode, "decode": decode,
    "streamed": streamed, "stream": stream, "library": "Python, tokenizers " + tokenizers.__version__,
}))
