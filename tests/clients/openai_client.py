"""OpenAI's package.

usage: openai_client.py HOST:PORT KEY

Expects the example model chat, once more as chat-in-haste, whose streams end after 300 ms, and the
test guests embedder and streamer, all serving. Without its key a request is refused.
"""

import asyncio
import struct
import sys

import openai

import checks

ADDRESS, KEY = sys.argv[1:]
URL = f"http://{ADDRESS}/v1"
CLIENT = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)

MESSAGES = [{"role": "user", "content": "to be"}]
ANSWER = " The start of the st"
ASKED = {"model": "chat", "messages": MESSAGES, "temperature": 0, "max_tokens": 20}


def refused(kind, call, *arguments, **keywords):
    """Returns the error of a call that must fail with it."""
    try:
        call(*arguments, **keywords)
    except kind as error:
        return error
    raise AssertionError(f"it should have been refused with {kind.__name__}")


def models():
    names = [model.id for model in CLIENT.models.list()]
    assert {"chat", "embedder", "streamer"} <= set(names), names
    model = CLIENT.models.retrieve("chat")
    assert (model.id, model.object, model.owned_by) == ("chat", "model", "wardian"), model
    assert model.created > 1_700_000_000, model


def embeddings():
    # The package asks for base64 unless it is told otherwise.
    answer = CLIENT.embeddings.create(model="embedder", input=["cat", "a b", ""])
    floats = CLIENT.embeddings.create(model="embedder", input=["cat", "a b", ""], encoding_format="float")
    assert [entry.index for entry in answer.data] == [0, 1, 2], answer
    assert [entry.embedding for entry in answer.data] == [
        [round_to_32_bits(number) for number in entry.embedding] for entry in floats.data
    ], floats
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 6, answer.usage

    for index, text in enumerate(["cat", "a b", ""]):
        alone = CLIENT.embeddings.create(model="embedder", input=text)
        assert alone.data[0].embedding == answer.data[index].embedding, text

    short = CLIENT.embeddings.create(model="embedder", input="cat", dimensions=2)
    assert len(short.data[0].embedding) == 2, short

    error = refused(openai.BadRequestError, CLIENT.embeddings.create, model="embedder", input=[1, 2])
    assert "texts are wanted" in error.message and error.param == "input", error


def round_to_32_bits(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def chat():
    answer = CLIENT.chat.completions.create(**ASKED)
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWER), answer
    assert (choice.finish_reason, choice.index) == ("length", 0), answer
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (22, 20), answer.usage
    assert answer.id.startswith("chatcmpl-") and answer.model == "chat", answer

    one, other, third = (
        CLIENT.chat.completions.create(**ASKED | {"temperature": 1, "seed": seed})
        for seed in (7, 7, 8)
    )
    assert one.choices[0].message.content == other.choices[0].message.content
    assert one.choices[0].message.content != third.choices[0].message.content

    newer = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    answer = CLIENT.chat.completions.create(**newer, max_completion_tokens=20)
    assert answer.choices[0].message.content == ANSWER, answer


def streams():
    chunks = list(CLIENT.chat.completions.create(**ASKED, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    assert text(chunks) == ANSWER, chunks
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices[0].finish_reason == "length", chunks[-1]
    assert all(chunk.usage is None for chunk in chunks), chunks
    assert len({chunk.id for chunk in chunks}) == 1, chunks

    options = {"include_usage": True}
    *chunks, last = CLIENT.chat.completions.create(**ASKED, stream=True, stream_options=options)
    assert text(chunks) == ANSWER and last.choices == [], last
    assert last.usage.total_tokens == 42, last


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def stop_sequences():
    whole = CLIENT.chat.completions.create(**ASKED | {"max_tokens": 60}).choices[0].message.content
    for start in range(0, 50, 7):
        stop = whole[start : start + 5]
        expected = whole[: whole.index(stop)]
        asked = ASKED | {"max_tokens": 60, "stop": stop}

        answer = CLIENT.chat.completions.create(**asked).choices[0]
        assert (answer.message.content, answer.finish_reason) == (expected, "stop"), (stop, answer)
        chunks = list(CLIENT.chat.completions.create(**asked, stream=True))
        assert text(chunks) == expected, (stop, chunks)
        assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]


def completions():
    asked = {"model": "chat", "prompt": "to be", "temperature": 0, "max_tokens": 20}
    answer = CLIENT.completions.create(**asked)
    assert answer.choices[0].text == " a programming thing", answer
    assert answer.choices[0].finish_reason == "length", answer
    chunks = list(CLIENT.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == " a programming thing", chunks


def errors():
    create = CLIENT.chat.completions.create
    error = refused(openai.NotFoundError, create, **ASKED | {"model": "gpt"})
    assert (error.code, error.param) == ("model_not_found", "model"), error
    error = refused(openai.BadRequestError, create, **ASKED, n=2)
    assert error.param == "n" and error.type == "invalid_request_error", error
    refused(openai.UnprocessableEntityError, create, **ASKED | {"temperature": 5})
    refused(openai.UnprocessableEntityError, create, **ASKED | {"temperature": 5}, stream=True)

    stranger = openai.OpenAI(base_url=URL, api_key="wrong", max_retries=0)
    error = refused(openai.AuthenticationError, stranger.chat.completions.create, **ASKED)
    assert error.code == "unknown_key" and error.message, error
    error = refused(openai.AuthenticationError, stranger.models.list)
    assert error.code == "unknown_key", error


def failures_within_a_stream():
    stream = CLIENT.chat.completions.create(
        model="streamer", messages=MESSAGES, stream=True, extra_body={"sequence_id": 0}
    )
    chunks = list(stream)
    assert text(chunks).startswith("user: to be"), chunks

    # Longer than the server allows a stream of this model.
    seen = []
    try:
        long = ASKED | {"model": "chat-in-haste", "max_tokens": 1000}
        for chunk in CLIENT.chat.completions.create(**long, stream=True):
            seen.append(chunk)
    except openai.APIError as error:
        assert error.code == "deadline_exceeded", error
    else:
        raise AssertionError("the stream should have failed")
    assert text(seen).startswith(ANSWER), seen
    assert all(chunk.choices[0].finish_reason is None for chunk in seen), seen


def many_at_once():
    async def ask():
        async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(**ASKED) for _ in range(8))
            )
        assert all(answer.choices[0].message.content == ANSWER for answer in answers), answers

    asyncio.run(ask())


checks.run(
    models,
    embeddings,
    chat,
    streams,
    stop_sequences,
    completions,
    errors,
    failures_within_a_stream,
    many_at_once,
)
