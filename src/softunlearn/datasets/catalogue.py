"""The data sets by name: what each holds, whose it is, and which files it is made of.

Nothing is read here. A checksum is that of a file's content, uncompressed, so that the same file
is recognised whether it lies gzipped or as its own site serves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Parameters
    ----------
    name : str
        What it is called where it is kept.
    sha256 : str
        Of its content, uncompressed.
    members : tuple of str, default=()
        Where it lies in the data set's archive: the member, or the members of archives inside
        archives. Empty for a file that no archive holds.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> [file.names for file in datasets.DATASETS["adult"].files]
    [('train.csv.gz', 'adult.data'), ('test.csv.gz', 'adult.test')]
    """

    name: str
    sha256: str
    members: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names it is found under: its own, and the one its site gives it."""
        return (self.name, *(member.rpartition("/")[2] for member in self.members[-1:]))


@dataclass(frozen=True)
class DatasetInfo:
    """What there is to know about a data set before loading it.

    Parameters
    ----------
    name : str
        What `load` calls it.
    description, label, groups, licence : str
        In words: its content, the positive class, the sensitive groups, what it may be used for.
    rows : int
        Rows of train, validation and test together.
    source : str
        Where it comes from: a page to read, or whoever makes it.
    folder : str, default=""
        Where its files are kept, inside `$SOFTUNLEARN_DATA` or the cache.
    files : tuple of DataFile, default=()
        Empty for a data set that the library makes itself.
    archive : str, optional
        Address of the zip archive that `fetch` downloads; None where there is none.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> info = datasets.DATASETS["adult"]
    >>> info.rows, info.label
    (45222, 'income >50K')
    """

    name: str
    description: str
    rows: int
    label: str
    groups: str
    licence: str
    source: str
    folder: str = ""
    files: tuple[DataFile, ...] = ()
    archive: str | None = None


_BANK = DatasetInfo(
    name="bank",
    description="telephone calls of a Portuguese bank, 2008-2010, and the client's answer",
    rows=30_488,
    label="y: the client took the term deposit",
    groups="age: over 36 / 36 or under",
    licence="CC BY 4.0",
    source="https://archive.ics.uci.edu/dataset/222/bank+marketing",
    folder="bank",
    files=(
        DataFile(
            "bank-additional-full.csv.gz",
            "74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8",
            ("bank-additional.zip", "bank-additional/bank-additional-full.csv"),
        ),
    ),
    archive="https://archive.ics.uci.edu/static/public/222/bank+marketing.zip",
)

_TABLE = (
    DatasetInfo(
        name="adult",
        description="people in the US census of 1994 and whether they earned over $50,000",
        rows=45_222,
        label="income >50K",
        groups="sex: Male / Female",
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/2/adult",
        folder="adult",
        files=(
            DataFile(
                "train.csv.gz",
                "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
                ("adult.data",),
            ),
            DataFile(
                "test.csv.gz",
                "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
                ("adult.test",),
            ),
        ),
        archive="https://archive.ics.uci.edu/static/public/2/adult.zip",
    ),
    _BANK,
    DatasetInfo(
        name="bank_age_extremes",
        description="the rows of `bank` with the youngest and oldest clients against the others",
        rows=_BANK.rows,
        label=_BANK.label,
        groups="age: under 25 or over 60 / 25 to 60",
        licence=_BANK.licence,
        source=_BANK.source,
        folder=_BANK.folder,
        files=_BANK.files,
        archive=_BANK.archive,
    ),
    DatasetInfo(
        name="celeba",
        description="40 yes-or-no attributes of photographs of celebrities; no images",
        rows=202_599,
        label="Smiling",
        groups="Male / Not male",
        licence="non-commercial research only, no redistribution",
        source="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        folder="celeba",
        files=(
            DataFile(
                "celeba_attributes.parquet",
                "7f74a1531dee1ba13808b38dad53920dfa67a823643a09e58ccced75b6176102",
            ),
        ),
    ),
    DatasetInfo(
        name="toxicity",
        description="tweets as MiniLM sentence embeddings; the texts hold slurs and hate speech",
        rows=24_783,
        label="hateful or offensive, by most annotators",
        groups="dialect inferred from words: African-American / Other",
        licence="MIT (tweets and labels)",
        source="https://github.com/t-davidson/hate-speech-and-offensive-language",
        folder="text",
        files=(
            DataFile(
                "davidson_tweets_dialect.parquet",
                "0484e2cc142a0efae18af85c044412d0473a6978eb459b628d2f1255f3dfd127",
            ),
            DataFile(
                "davidson_minilm_float16.npy",
                "0583254dffc6d3f34e8df1943caf86fb56644e8798a80ac286f33bb73c519c65",
            ),
        ),
    ),
    DatasetInfo(
        name="toxicity_comments",
        description="Wikipedia comments as MiniLM sentence embeddings; the texts hold slurs",
        rows=12_180,
        label="toxic",
        groups="identity words: Identity mentioned / None mentioned",
        licence="CC0 (labels), CC BY-SA 3.0 (comments)",
        source="https://www.kaggle.com/c/jigsaw-toxic-comment-classification-challenge",
        folder="text",
        files=(
            DataFile(
                "jigsaw_wiki_test_balanced.parquet",
                "74b62766e0dfc5f73a9bb71a260e681e42a7195d4405f589781d9790a479313c",
            ),
            DataFile(
                "jigsaw_minilm_float16.npy",
                "881d28847588982549bb0a12430c20b55c4d67b7fb454e78f04b54cc98a1b040",
            ),
        ),
    ),
    DatasetInfo(
        name="census",
        description="synthetic people and pay, with a known bias; nobody in it exists",
        rows=20_000,
        label="pay >50K",
        groups="sex: Male / Female",
        licence="that of softunlearn",
        source="made by softunlearn itself",
    ),
)

DATASETS: Mapping[str, DatasetInfo] = MappingProxyType({info.name: info for info in _TABLE})
"""Every data set that `load` knows, by name."""


def names() -> tuple[str, ...]:
    """Return the names that `load` knows.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> "census" in datasets.names()
    True
    """
    return tuple(DATASETS)


def info_of(name: str) -> DatasetInfo:
    """Return the entry of a data set, or say which names there are.

    Raises
    ------
    ValueError
        No data set has that name.
    """
    if name not in DATASETS:
        raise ValueError(f"`name` must be one of {', '.join(DATASETS)}, got {name!r}.")
    return DATASETS[name]
