"""Toxic language: tweets by dialect, and Wikipedia comments by the identities they mention.

The features are 384 sentence embeddings (all-MiniLM-L6-v2), of unit length and therefore left
unscaled; the readable form is one column, `text`. Dialect is inferred from words and is not the
author's race; a mention is a keyword match. The texts hold slurs and hate speech.
"""

import io
from collections.abc import Mapping

import numpy as np
import pandas as pd

from softunlearn.datasets.table import Table

_NEITHER = 2
"""Label of a tweet that most annotators found neither hateful (0) nor offensive (1)."""


def read_tweets(files: Mapping[str, bytes]) -> Table:
    """Return the tweets; seven without a dialect count as "Other"."""
    tweets = pd.read_parquet(io.BytesIO(files["davidson_tweets_dialect.parquet"]))
    african_american = (tweets["p_aa"] > tweets["p_white"]).to_numpy(dtype=bool)
    return Table(
        raw=tweets[["text"]],
        encoded=_embeddings(files["davidson_minilm_float16.npy"]),
        y=(tweets["label"] != _NEITHER).to_numpy(dtype=np.int64),
        g=np.where(african_american, "African-American", "Other"),
        scaled=False,
    )


def read_comments(files: Mapping[str, bytes]) -> Table:
    """Return the comments; a row's group is whether it mentions any of eight identities."""
    comments = pd.read_parquet(io.BytesIO(files["jigsaw_wiki_test_balanced.parquet"]))
    mentioned = comments.filter(like="mentions_").to_numpy(dtype=bool).any(axis=1)
    return Table(
        raw=comments[["text"]],
        encoded=_embeddings(files["jigsaw_minilm_float16.npy"]),
        y=comments["toxic"].to_numpy(dtype=np.int64),
        g=np.where(mentioned, "Identity mentioned", "None mentioned"),
        scaled=False,
    )


def _embeddings(content: bytes) -> pd.DataFrame:
    vectors = np.load(io.BytesIO(content), allow_pickle=False)
    return pd.DataFrame(vectors, columns=[f"embedding_{k}" for k in range(vectors.shape[1])])
