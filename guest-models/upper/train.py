"""Writes golden.json, with Python's results for some texts. There is nothing to train.

    python train.py
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
BATCHES = [
    ["hello"], [""], ["MiXeD 123 !?"], ["straße"], ["ﬁne print"], ["ångström, éclair, ñandú"],
    ["σίσυφος"], ["привет"], ["ŉ ǰ ΐ"], ["日本語 has no case"], ["line\nbreak\ttab"], ["🌱 wardian"],
    ["one", "two", "drei", "", "cinq"],
]


def tensor(texts):
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}


def golden_case(texts):
    upper = [text.upper() for text in texts]
    return {"request": {"inputs": [tensor(texts)]}, "response": {"outputs": [tensor(upper)]}}


def main():
    document = {"tolerance": {"relative": 0.0, "absolute": 0.0}, "cases": [golden_case(batch) for batch in BATCHES]}
    (HERE / "golden.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
