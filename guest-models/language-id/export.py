"""Reads the model out of the package py3langid and writes weights.bin, golden.json and the licences.

    pip install -r requirements.txt && python export.py

weights.bin, little-endian and without padding:
    u32 languages, features, states, rows, moves, outputs: how many there are of each
    languages: 2 bytes each, the ISO 639-1 code
    priors: f32 [languages], logarithms
    likelihoods: f32 [features, languages] row by row, logarithms
    usual moves: u16 [256], the state that a byte leads to unless the row says otherwise
    rows: u64 [4], the bytes for which it does, lowest bit first; u32, its first entry in moves
    moves: u16, the states these bytes lead to, byte by byte
    states: u16 its row, u16 its first entry in outputs; one more state ends the last one's outputs
    outputs: u16, the features that are seen once more when the state is entered
The package has a row of 256 moves for each state. Many are equal, and most moves are those of the
first state: what is left takes a twentieth of the room, which a short text pays for in pages.
"""

import gettext
import json
import shutil
import struct
from importlib.metadata import distribution
from pathlib import Path

import django
import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

HERE = Path(__file__).parent
BATCH = 64

# Messages of Django's forms, in the languages of their translations.
MESSAGES = [
    "This field is required.",
    "Enter a valid email address.",
    "Enter a list of values.",
    "No file was submitted. Check the encoding type on the form.",
    "Select a valid choice. That choice is not one of the available choices.",
]

ODDITIES = [
    "", " ", "\n\t", "a", "é", "ß", "字", "7", "1234567890", "3.14159", "12/11/1987", "?!...", "🌱", "🌱🌍🚀 🎉",
    "👩‍👩‍👧‍👦", "http://example.com/index.html?q=1", "<p>markup</p>", "{\"key\": [1, 2, 3]}", "SELECT * FROM texts;",
    "ok", "no", "sí", "ja", "да", "hello", "Hello, world!", "HELLO WORLD", "bonjour", "Grüß Gott", "straße",
    "こんにちは", "你好", "안녕하세요", "שלום", "مرحبا", "नमस्ते", "สวัสดี", "γειά σου", "привет", "Здравейте",
    "hello привет 你好", "The word straße is German.", "Он сказал “hello” и ушёл.", "東京 is the capital of 日本.",
    "naïve café résumé", "e\u0301te\u0301", "ﬁne print", "x" * 300, "the " * 400, "\u0000\u0001\u0002", "\ufeffBOM",
    "Mischmasch aus Deutsch and English et français", "lorem ipsum dolor sit amet", "aAaA bBbB", "ｆｕｌｌ ｗｉｄｔｈ",
]


# === weights.bin ===

def distinct_rows(moves):
    rows, row_of_state = np.unique(moves, axis=0, return_inverse=True)
    return rows, row_of_state.ravel()


def row_bytes(rows, usual):
    first = 0
    for row in rows:
        unusual = row != usual
        yield np.packbits(unusual, bitorder="little").tobytes() + struct.pack("<I", first)
        first += int(unusual.sum())


def state_bytes(row_of_state, outputs):
    first = 0
    for row, features in zip([*row_of_state, 0], [*outputs, ()]):
        yield struct.pack("<HH", row, first)
        first += len(features)


def weights_bytes(model):
    moves = np.array(model.tk_nextmove, "<u2").reshape(-1, 256)
    usual = moves[0]
    rows, row_of_state = distinct_rows(moves)
    unusual = rows[rows != usual]
    outputs = [model.tk_output.get(state, ()) for state in range(len(moves))]
    flat_outputs = [feature for features in outputs for feature in features]
    features, languages = model.nb_ptc.shape
    yield struct.pack("<6I", languages, features, len(moves), len(rows), len(unusual), len(flat_outputs))
    yield "".join(model.nb_classes).encode()
    yield model.nb_pc.astype("<f4").tobytes() + model.nb_ptc.astype("<f4").tobytes()
    yield usual.tobytes() + b"".join(row_bytes(rows, usual)) + unusual.tobytes()
    yield b"".join(state_bytes(row_of_state, outputs)) + np.array(flat_outputs, "<u2").tobytes()


# === golden.json ===

def translations():
    for file in sorted(Path(django.__file__).parent.glob("conf/locale/*/LC_MESSAGES/django.mo")):
        with file.open("rb") as catalogue:
            translate = gettext.GNUTranslations(catalogue).gettext
        # A message without a translation is returned unchanged.
        yield from (text for text in map(translate, MESSAGES) if text not in MESSAGES)


def golden_texts():
    return list(dict.fromkeys([*ODDITIES, *MESSAGES, *translations()]))


def golden_case(model, texts):
    answers = [model.classify(text) for text in texts]
    shape = [len(texts)]
    return {
        "request": {"inputs": [{"name": "text", "shape": shape, "datatype": "BYTES", "data": texts}]},
        "response": {"outputs": [
            {"name": "language", "shape": shape, "datatype": "BYTES", "data": [language for language, _ in answers]},
            {"name": "confidence", "shape": shape, "datatype": "FP32",
             "data": [round(float(confidence), 9) for _, confidence in answers]},
        ]},
    }


def golden(model):
    texts = golden_texts()
    print(f"{len(texts)} texts, {len({model.classify(text)[0] for text in texts})} languages answered")
    batches = [[text] for text in texts[:8]] + [texts[at : at + BATCH] for at in range(8, len(texts), BATCH)]
    cases = [golden_case(model, batch) for batch in batches]
    # Both compute in 32 bits, with different orders of additions.
    return {"tolerance": {"relative": 0.0, "absolute": 1e-4}, "cases": cases}


def copy_licence(package):
    files = distribution(package).files
    licence = next(file for file in files if file.name == "LICENSE" and "dist-info" in str(file))
    shutil.copyfile(licence.locate(), HERE / f"LICENSE-{package}")


def main():
    model = LanguageIdentifier.from_pickled_model(MODEL_FILE, norm_probs=True)
    (HERE / "weights.bin").write_bytes(b"".join(weights_bytes(model)))
    (HERE / "golden.json").write_text(json.dumps(golden(model)) + "\n")
    copy_licence("py3langid")
    copy_licence("django")


if __name__ == "__main__":
    main()
