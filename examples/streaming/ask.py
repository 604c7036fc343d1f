"""Prints a stream as it arrives. Needs only Python 3.

usage: ask.py PROMPT [CHARACTERS] [URL]

Without URL it asks the server at $WARDIAN_URL, or else at http://127.0.0.1:8080.
"""

import json
import os
import sys
import urllib.request


def events(url, body):
    """Yields the parts of the stream: server-sent events are lines that begin with 'data: '."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[len(b"data: "):])


SERVER = os.environ.get("WARDIAN_URL", "http://127.0.0.1:8080")


def main(prompt, characters="200", server=SERVER):
    print(prompt, end="", flush=True)
    body = {"text_input": prompt, "parameters": {"max_tokens": int(characters)}}
    for event in events(f"{server}/v2/models/chat/generate_stream", body):
        # The status was sent with the first part, so a later error is an event.
        if "error" in event:
            sys.exit(f"\n{event['code']}: {event['error']}")
        print(event["text_output"], end="", flush=True)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
