"""Against transformers and torch themselves, on tiny models with random weights, offline."""

import copy
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

import softunlearn as su  # noqa: E402
from softunlearn.exceptions import InputError, ModelError  # noqa: E402
from softunlearn.models import HuggingFace, TorchModule, adapt  # noqa: E402
from softunlearn.rows import Rows, take  # noqa: E402

WORDS = ["good", "bad", "fine", "awful", "film", "book", "plot", "very", "not", "the", "a", "is"]
N = 40
SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT = {**SMALL, "vocab_size": 20, "intermediate_size": 8, "max_position_embeddings": 24}

TEXT_MODELS = {
    "Bert": (BERT, "classifier"),
    "Roberta": ({**BERT, "pad_token_id": 0}, "classifier.out_proj"),
    "DistilBert": (
        {"vocab_size": 20, "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8},
        "classifier",
    ),
    "GPT2": (
        {
            "vocab_size": 20,
            "n_embd": 8,
            "n_layer": 1,
            "n_head": 2,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 1,
        },
        "score",
    ),
}
IMAGE_MODELS = {
    "ViT": ({**SMALL, "intermediate_size": 8, "image_size": 8, "patch_size": 4}, "classifier"),
    "ResNet": (
        {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"},
        "classifier.1",
    ),
}


def model_of(name, n_labels=2, **more):
    """A model with random weights, and a head that is not nearly zero."""
    torch.manual_seed(0)
    kind = "Sequence" if name in TEXT_MODELS else "Image"
    options = (TEXT_MODELS | IMAGE_MODELS)[name][0]
    config = getattr(transformers, f"{name}Config")(**options, num_labels=n_labels, **more)
    model = getattr(transformers, f"{name}For{kind}Classification")(config)
    adapter = adapt(model)
    head = adapter.head(1)
    change = np.random.default_rng(0).normal(size=head.n_parameters)
    return adapter.with_head(head.with_theta(head.theta + change))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokens") / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    return transformers.BertTokenizer(str(file))


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, size=rng.integers(2, 9))) for _ in range(N)]


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, size=(N, 10, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def image_processor():
    return transformers.ViTImageProcessor(size={"height": 8, "width": 8})


def logits_of(model, inputs):
    """The model's own logits of tokenized or processed rows, in one batch."""
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        return model(**inputs).logits.double().numpy()


def tokens_of(model, tokenizer, texts):
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    if hasattr(model, "distilbert"):  # it knows no types of tokens
        del tokens["token_type_ids"]
    return tokens


def folded(logits):
    return logits[:, 1:] - logits[:, :1] if logits.shape[1] == 2 else logits


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("name", TEXT_MODELS)
def test_texts_are_tokenized_and_the_head_predicts_what_the_model_does(
    name, n_labels, tokenizer, texts
):
    model = model_of(name, n_labels)
    expected = folded(logits_of(model, tokens_of(model, tokenizer, texts)))
    adapter = HuggingFace(model, processor=tokenizer, batch_size=7)
    assert adapter.layer_name == TEXT_MODELS[name][1]
    phi = adapter.features(texts)
    assert phi.shape == (N, 8)
    # batches are padded to other lengths than all rows at once: float32's rounding differs
    np.testing.assert_allclose(adapter.head(N).logits(phi), expected, atol=1e-5)
    np.testing.assert_allclose(adapter.logits(texts), expected, atol=1e-5)


@pytest.mark.parametrize("name", [*TEXT_MODELS, *IMAGE_MODELS])
def test_the_corrected_model_is_the_corrected_head_on_the_same_features(
    name, tokenizer, texts, pixels
):
    model = model_of(name, 3)
    before = copy.deepcopy(model.state_dict())
    if name in TEXT_MODELS:
        inputs = dict(tokens_of(model, tokenizer, texts))
    else:
        inputs = {"pixel_values": torch.rand(N, 3, 8, 8)}
    adapter = adapt(model)
    assert isinstance(adapter, HuggingFace)
    head = adapter.head(N)
    new = head.with_theta(head.theta + np.random.default_rng(1).normal(size=head.n_parameters))
    corrected = adapter.with_head(new)
    phi = torch.tensor(adapter.features(inputs)).double()
    expected = phi @ torch.tensor(new.W).T + (0 if new.b is None else torch.tensor(new.b))
    np.testing.assert_allclose(logits_of(corrected, inputs), expected.numpy(), atol=1e-5)
    assert type(corrected) is type(model)
    own = (TEXT_MODELS | IMAGE_MODELS)[name][1] + "."
    for key, value in corrected.state_dict().items():
        assert torch.equal(value, before[key]) != key.startswith(own)
        assert torch.equal(model.state_dict()[key], before[key])


def forms(tokenizer, texts):
    """The same rows in all ways in which they may be kept."""
    tokens = tokenizer(texts)
    padded = tokenizer(texts, padding=True, return_tensors="pt")
    y = [i % 2 for i in range(N)]
    items = [{name: tokens[name][i] for name in tokens} | {"label": y[i]} for i in range(N)]
    return {
        "list": texts,
        "array": np.array(texts),
        "objects": np.array(texts, dtype=object),
        "Series": pd.Series(texts, index=range(5, N + 5)),
        "polars Series": pl.Series(texts),
        "pyarrow": pa.chunked_array([texts]),
        "dataframe": pd.DataFrame({"label": y, "sentence": texts}),
        "polars": pl.DataFrame({"text": texts, "other": ["x"] * N}),
        "table": pa.table({"sentence": texts, "label": y}),
        "columns": {"text": texts, "label": y},
        "items": [{"text": text, "idx": 3} for text in texts],
        "pairs": list(zip(texts, y, strict=True)),
        "BatchEncoding": padded,
        "mapping of tensors": {**padded, "labels": torch.tensor(y)},
        "mapping of arrays": {name: padded[name].numpy() for name in padded},
        "ragged columns": {name: tokens[name] for name in tokens} | {"label": y},
        "ragged items": items,
        "data set": ColumnDataset({"sentence": texts, "label": y}),
        "ragged data set": ColumnDataset({name: tokens[name] for name in tokens} | {"label": y}),
        "loader of texts": DataLoader(texts, batch_size=9),
        "loader of pairs": DataLoader(list(zip(texts, y, strict=True)), batch_size=9),
        "loader of mappings": DataLoader(
            items, batch_size=9, collate_fn=transformers.DataCollatorWithPadding(tokenizer)
        ),
    }


class ColumnDataset:
    """What the adapter needs of a datasets.Dataset: its length, shape, columns and indexing."""

    def __init__(self, columns):
        self._columns = columns
        self.column_names = list(columns)
        self.shape = len(self), len(columns)

    def __len__(self):
        return len(next(iter(self._columns.values())))

    def __getitem__(self, index):
        def one(column):
            return [column[i] for i in index] if np.ndim(index) else column[index]

        return {name: one(column) for name, column in self._columns.items()}


FORMS = [
    "list", "array", "objects", "Series", "polars Series", "pyarrow", "dataframe", "polars",
    "table", "columns", "items", "pairs", "BatchEncoding", "mapping of tensors",
    "mapping of arrays", "ragged columns", "ragged items", "data set", "ragged data set",
    "loader of texts", "loader of pairs", "loader of mappings",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_any_form_have_the_same_features(form, tokenizer, texts):
    model = model_of("Bert")
    adapter = HuggingFace(model, processor=tokenizer)
    X = forms(tokenizer, texts)[form]
    expected = adapter.features(texts)
    assert len(Rows(X, None)) == N
    # batches of other rows are padded to other lengths
    np.testing.assert_allclose(adapter.features(X), expected, atol=1e-5)
    some = np.array([3, 0, 17])
    np.testing.assert_allclose(adapter.features(take(X, some)), expected[some], atol=1e-5)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_images_go_through_the_processor(name, pixels, image_processor):
    model = model_of(name)
    expected = folded(logits_of(model, image_processor(images=list(pixels), return_tensors="pt")))
    adapter = HuggingFace(model, processor=image_processor, batch_size=7)
    pictures = [Image.fromarray(one) for one in pixels]
    of_any_size = [*pictures[:-1], pictures[-1].resize((30, 20))]
    pairs = list(zip(pictures, range(N), strict=True))
    for X in (pixels, list(pixels), pictures, {"image": pictures}, pairs):
        assert len(Rows(X, None)) == N
        np.testing.assert_allclose(adapter.logits(X), expected, atol=1e-5)
    np.testing.assert_allclose(adapter.logits(of_any_size)[:-1], expected[:-1], atol=1e-5)


def test_images_as_tensors_need_no_processor():
    model = model_of("ViT")
    x = torch.rand(N, 3, 8, 8)
    expected = folded(logits_of(model, {"pixel_values": x}))
    loader = DataLoader([{"pixel_values": one, "labels": 1} for one in x], batch_size=9)
    for X in (x, x.numpy(), list(x), {"pixel_values": x}, loader):
        np.testing.assert_allclose(adapt(model).logits(X), expected, atol=1e-5)


def test_left_padding_is_read_from_the_token_that_the_model_chose(tokenizer, texts):
    left = copy.deepcopy(tokenizer)
    left.padding_side = "left"
    model = model_of("GPT2")
    tokens = tokens_of(model, left, texts)
    assert (tokens["attention_mask"][:, 0] == 0).any()
    expected = folded(logits_of(model, tokens))
    adapter = HuggingFace(model, processor=left)
    np.testing.assert_allclose(adapter.logits(dict(tokens)), expected, atol=1e-5)


def test_texts_are_cut_at_max_length(tokenizer, texts):
    model = model_of("Bert")
    cut = tokenizer(texts, padding=True, truncation=True, max_length=5, return_tensors="pt")
    expected = folded(logits_of(model, cut))
    adapter = HuggingFace(model, processor=tokenizer, max_length=5)
    np.testing.assert_allclose(adapter.logits(texts), expected, atol=1e-5)


def test_labels_may_be_named(tokenizer):
    model = model_of("Bert", id2label={0: "no", 1: "yes"})
    named = HuggingFace(model, classes=list(model.config.id2label.values()))
    assert named.head(N).classes == ("no", "yes")


def trained(model, tokenizer, texts, y, l2):
    """The model with its head at the optimum of the penalised loss on its own features."""
    adapter = HuggingFace(model, processor=tokenizer, l2=l2)
    head = adapter.head(len(texts))
    from sklearn.linear_model import LogisticRegression

    phi = adapter.features(texts).astype(np.float64)
    fit = LogisticRegression(C=1 / head.l2, tol=1e-10, max_iter=10_000).fit(phi, y)
    best = head.with_theta(np.append(fit.coef_, fit.intercept_))
    return HuggingFace(adapter.with_head(best), processor=tokenizer, l2=l2)


@pytest.fixture(scope="module")
def corrected(tokenizer):
    """A correction of a text classifier, whose labels go with a word that a group uses more."""
    rng = np.random.default_rng(0)
    n = 600
    g = rng.integers(0, 2, size=n)
    y = (rng.random(n) < np.where(g == 1, 0.7, 0.3)).astype(int)
    said = np.where(y == 1, "good", "bad")
    other = np.where(g == 1, "film", "book")
    texts = [
        f"the {b} is {a} " + " ".join(rng.choice(WORDS, size=3))
        for a, b in zip(said, other, strict=True)
    ]
    half = n // 2
    adapter = trained(model_of("Bert"), tokenizer, texts[:half], y[:half], l2=0.1)
    c = su.correct(
        adapter,
        train=(texts[:half], y[:half], g[:half]),
        validation=(pd.Series(texts[half:]), y[half:], g[half:]),
        select="full",
    )
    return SimpleNamespace(c=c, adapter=adapter, texts=texts[half:], g=g[half:])


def test_a_text_classifier_is_corrected(corrected, tokenizer):
    c, g = corrected.c, corrected.g
    assert c.status == "CORRECTED"
    tokens = tokenizer(corrected.texts, padding=True, return_tensors="pt")
    gaps = []
    for model in (corrected.adapter.module, c.model):
        p = torch.softmax(torch.tensor(logits_of(model, tokens)), dim=1)[:, 1].numpy()
        gaps.append(abs(p[g == 1].mean() - p[g == 0].mean()))
    assert gaps[1] < 0.5 * gaps[0]
    before, after = (m.state_dict() for m in (corrected.adapter.module, c.model))
    assert {k for k in before if not torch.equal(before[k], after[k])} == {
        "classifier.weight",
        "classifier.bias",
    }


@pytest.mark.slow
def test_saved_as_pretrained_it_predicts_the_same_in_a_fresh_process(
    corrected, tokenizer, tmp_path
):
    model = corrected.c.model
    model.save_pretrained(tmp_path / "model")
    assert list((tmp_path / "model").glob("*.safetensors"))
    tokens = tokenizer(corrected.texts, padding=True, return_tensors="pt")
    torch.save(dict(tokens), tmp_path / "tokens.pt")
    script = """
import sys, torch
from pathlib import Path
from transformers import AutoModelForSequenceClassification
folder = Path(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(folder / "model").eval()
with torch.no_grad():
    logits = model(**torch.load(folder / "tokens.pt")).logits
torch.save((logits, model.state_dict()), folder / "out.pt")
"""
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
    )
    logits, state = torch.load(tmp_path / "out.pt")
    np.testing.assert_allclose(logits.numpy(), logits_of(model, tokens), atol=1e-6)
    np.testing.assert_array_equal(logits.argmax(dim=1), logits_of(model, tokens).argmax(axis=1))
    assert set(state) == set(model.state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    original = corrected.adapter.module.state_dict()  # before the correction: all but the head
    assert {name for name in state if not torch.equal(state[name], original[name])} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_a_correction_is_saved_and_loaded_as_of_any_module(corrected, tmp_path):
    c = corrected.c
    c.save(tmp_path / "correction")
    c.to_html(tmp_path / "report.html")
    saved = su.load(tmp_path / "correction", module=corrected.adapter.module)
    assert type(saved.model) is type(c.model)
    for name, value in c.model.state_dict().items():
        assert torch.equal(saved.model.state_dict()[name], value)


def test_deeper_layers_are_trained_on_texts(tokenizer, texts):
    adapter = HuggingFace(model_of("Bert"), processor=tokenizer, batch_size=7)
    tail = adapter.tail(Rows(texts, np.arange(N) % 2), 2)
    expected = folded(
        logits_of(adapter.module, tokenizer(texts, padding=True, return_tensors="pt"))
    )
    np.testing.assert_allclose(tail.logits(tail.theta).numpy(), expected, atol=1e-5)
    loader = DataLoader(sorted(texts, key=len), batch_size=9)
    with pytest.raises(InputError, match="pad all rows to one length"):
        adapter.tail(Rows(loader, np.arange(N) % 2), 2)


def test_features_are_cached_by_tokens_and_configuration(tokenizer, texts, tmp_path):
    cache = su.ArrayCache(tmp_path)
    model = model_of("Bert")
    first = HuggingFace(model, processor=tokenizer, cache=cache).features(texts)
    again = HuggingFace(model, processor=tokenizer, cache=cache).features(texts)
    np.testing.assert_array_equal(first, again)
    assert len([*tmp_path.iterdir()]) == 1
    HuggingFace(model, processor=tokenizer, cache=cache).features(texts[::-1])
    assert len([*tmp_path.iterdir()]) == 2


@pytest.mark.parametrize(
    ("n_labels", "problem"),
    [(1, None), (2, "regression"), (1, "regression"), (3, "multi_label_classification")],
)
def test_other_problems_are_refused(n_labels, problem):
    config = transformers.BertConfig(**BERT, num_labels=n_labels, problem_type=problem)
    model = transformers.BertForSequenceClassification(config)
    said = f"problem_type is {problem or 'regression'}, and only single_label_classification"
    with pytest.raises(ModelError, match=said):
        adapt(model)


def test_models_of_tokens_are_refused(tokenizer, texts):
    config = transformers.BertConfig(**BERT, num_labels=2)
    model = transformers.BertForTokenClassification(config)
    with pytest.raises(ModelError, match="does not return the logits of one of them"):
        HuggingFace(model, processor=tokenizer).features(texts)


@pytest.mark.parametrize(
    ("X", "processor", "said"),
    [
        (["good", "bad"], False, "texts, and the model takes 'input_ids'; give su.models.Hugging"),
        (["good", None], True, "a row is 'None', a NoneType, where a text is needed"),
        (pd.Series(["good", np.nan]), True, "a row is 'nan', a float, where a text is needed"),
        ({"a": ["x"], "b": ["y"]}, True, "'a', 'b', several could be the model's input"),
        ({"a": [1.0], "b": [2]}, True, "'a', 'b', none could be the model's input"),
        ({"input_ids": [[1], [1, 2]]}, False, "different numbers of tokens; pad them, or give"),
        (["good " * 30], True, "the model cannot take these rows"),
        (
            DataLoader([(torch.ones(3).long(), torch.ones(3).long(), 1)]),
            True,
            "tuples of several tensors, which have no names; give mappings",
        ),
    ],
)
def test_rows_that_cannot_be_read_are_told(X, processor, said, tokenizer):
    adapter = HuggingFace(model_of("Bert"), processor=tokenizer if processor else None)
    with pytest.raises(InputError, match=said):
        adapter.features(X)


def test_images_without_a_processor_are_told(pixels):
    pictures = [Image.fromarray(one) for one in pixels]
    with pytest.raises(InputError, match="rows are images, and the model takes 'pixel_values'"):
        adapt(model_of("ViT")).features(pictures)


def test_options_are_checked():
    with pytest.raises(ModelError, match="must be a transformers PreTrainedModel, got Linear"):
        HuggingFace(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="`max_length` must be at least 1, got 0"):
        HuggingFace(model_of("Bert"), max_length=0)
    assert not isinstance(adapt(torch.nn.Linear(2, 2)), HuggingFace)
    assert isinstance(TorchModule(model_of("Bert")), TorchModule)


def test_transformers_is_loaded_when_asked_for_and_without_it_the_extra_is_named():
    script = """
import sys
import softunlearn as su, softunlearn.models, torch
assert "transformers" not in sys.modules
sys.modules["transformers"] = None  # as if it were not installed
su.models.adapt(torch.nn.Linear(2, 2)).features(torch.ones(3, 2))
try:
    su.models.HuggingFace
except ImportError as error:
    assert "pip install softunlearn[hf]" in str(error), error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
