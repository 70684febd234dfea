import hashlib
import json
from pathlib import Path

import pytest

from mixkd.corpus.corpus import BUILT_IN, Columns, Example, built_in_file, open_corpus
from mixkd.errors import DataError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def read(path: Path, columns: Columns | None = None) -> list[Example]:
    corpus = open_corpus(path, columns)
    return list(corpus.read(corpus.evaluation_split()))


def test_tsv_takes_a_quote_as_a_character_and_a_line_as_a_row(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\r\n"pay\tyes\r\nit\'s "5" \u2028 now\tno\n')
    assert read(path) == [Example('"pay', None, "yes"), Example('it\'s "5" \u2028 now', None, "no")]


def test_csv_reads_quotes_line_breaks_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", '\ufefftext,label\n"pay, ""now""\nplease",yes\n')
    assert read(path) == [Example('pay, "now"\nplease', None, "yes")]


def test_csv_reads_a_field_of_a_megabyte(tmp_path: Path) -> None:
    assert len(read(write(tmp_path, "a.csv", f"text\n{'x' * 1_000_000}\n"))[0].text) == 1_000_000


def test_jsonl_reads_every_kind_of_label(tmp_path: Path) -> None:
    labels = ["yes", ["a", "b"], {"a": 0.25, "b": 0.75}, 3.5, 2, None, ""]
    lines = "\n".join(json.dumps({"text": "t", "label": label}) for label in labels)
    found = [example.label for example in read(write(tmp_path, "a.jsonl", lines + "\n\n"))]
    assert found == ["yes", ("a", "b"), {"a": 0.25, "b": 0.75}, "3.5", "2", None, None]


def test_parquet_reads_what_pyarrow_wrote(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow comes with the compress extra")
    from pyarrow import parquet, table

    parquet.write_table(table({"text": ["pay", "wait"], "label": [1, 0]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [Example("pay", None, "1"), Example("wait", None, "0")]
    write(tmp_path, "b.parquet", b"PAR1 but no more")
    with pytest.raises(DataError, match="is not a parquet file"):
        read(tmp_path / "b.parquet")


def test_jsonl_reads_characters_that_are_written_as_two_escapes(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", '\ufeff{"text": "\\ud83d\\ude00 \\\\ud800", "label": {"a": 1, "b": null}}\n'
    )
    assert read(path) == [Example("\U0001f600 \\ud800", None, {"a": 1.0})]


def test_columns_are_text_text2_and_label_unless_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "q\ttext2\tlabel\ttext\tkind\n1\t2\t3\t4\t5\n")
    assert read(path) == [Example("4", "2", "3")]
    assert read(path, Columns(text="q", text2="text", label="kind")) == [Example("1", "4", "5")]


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "sentence\tlabel\nx\ty\n")
    with pytest.raises(DataError, match="no column 'text', only 'sentence', 'label': name yours with --text"):
        read(path)
    with pytest.raises(DataError, match="no column 'kind'"):
        read(path, Columns(text="sentence", label="kind"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "", "has no rows"),
        ("a.tsv", "text\tlabel\n", "has no rows"),
        ("a.csv", "", "has no rows"),
        ("a.csv", "text,label\n", "has no rows"),
        ("a.jsonl", "\n\n", "has no rows"),
        ("a.tsv", "text\tlabel\nx\ty\nz\n", "line 3: 1 fields where the header has 2"),
        ("a.csv", "text,label\nx,y\nz\n", "line 3: not as many fields"),
        ("a.csv", "text,label\nx,y,z\n", "line 2: not as many fields"),
        ("a.csv", 'text\n"never closed\n', "line 2: unexpected end"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', "line 2: not JSON"),
        ("a.jsonl", "[1]\n", "line 1: not a JSON object"),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1: not JSON"),
        ("a.jsonl", '{"text": 3}\n', "row 1: a text is missing or not a string"),
        ("a.jsonl", '{"text": "x", "text2": 3}\n', "row 1: a text is missing or not a string"),
        ("a.jsonl", '{"text": "x"}\n{"label": "y"}\n', "row 2: a text is missing"),
        ("a.jsonl", '{"text": "x", "label": {"a": "much"}}\n', "row 1: the probability 'much' of a label"),
        ("a.jsonl", '{"text": "x", "label": {"a": NaN, "b": 1}}\n', "row 1: the probability nan of a"),
        ("a.jsonl", '{"text": "x", "label": {"a": -0.5}}\n', "row 1: the probability -0.5 of a label"),
        ("a.jsonl", '{"text": "x", "label": {"a": 1%s}}\n' % ("0" * 400), "row 1: the probability 1000"),
        ("a.jsonl", '{"text": "x"}\n{"text": "x", "label": NaN}\n', "row 2: the label nan is not a finite"),
        ("a.jsonl", '{"text": "x", "label": -Infinity}\n', "row 1: the label -inf is not a finite number"),
        ("a.jsonl", '{"text": "x", "label": ["a", NaN]}\n', "row 1: the label nan is not a finite number"),
        ("a.jsonl", '{"text": "x", "label": ["a", {}]}\n', "row 1: a label holds a dict, not a name, a num"),
        ("a.jsonl", '{"text": "x", "label": 1%s}\n' % ("0" * 5000), "line 1: a number has more than 4300"),
        ("a.jsonl", '{"text": "x"}\n{"text": "\\ud800 pay"}\n', r"line 2: '\\ud800' is half of a"),
        ("a.jsonl", '{"text": "x", "label": ["\\uDFFF"]}\n', r"line 1: '\\udfff' is half of a surrogate"),
        ("a.tsv", "text\tlabel\ttext\nx\ty\tz\n", "line 1: two columns have the name 'text'"),
        ("a.csv", "label,text,label\nx,y,z\n", "line 1: two columns have the name 'label'"),
        ("a.tsv", b"text\nna\xefve\n", "not UTF-8 .byte 7"),
        ("a.csv", b"text\nna\xefve\n", "not UTF-8 .byte 7"),
        ("a.jsonl", b'{"text": "\xef"}\n', "not UTF-8 .byte 10"),
    ],
)
def test_a_malformed_file_is_refused_saying_where(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_holds_its_splits_under_any_of_their_names(tmp_path: Path) -> None:
    for name in ("training.tsv", "dev.csv", "Test.JSONL", "notes.txt"):
        write(tmp_path, name, "text\nx\n")
    corpus = open_corpus(tmp_path)
    assert list(corpus.splits) == ["train", "validation", "test"]
    assert corpus.evaluation_split() == "test"
    with pytest.raises(DataError, match="has no extra split, only train, validation, test"):
        next(corpus.read("extra"))


def test_a_folder_with_a_split_twice_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no train, validation or test file"):
        open_corpus(tmp_path)
    write(tmp_path, "dev.tsv", "text\n")
    write(tmp_path, "valid.csv", "text\n")
    with pytest.raises(DataError, match=r"the validation split twice: dev\.tsv and valid\.csv"):
        open_corpus(tmp_path)


def test_a_single_file_is_the_split_that_its_name_says(tmp_path: Path) -> None:
    assert list(open_corpus(write(tmp_path, "dev.tsv", "text\nx\n")).splits) == ["validation"]
    assert list(open_corpus(write(tmp_path, "mine.tsv", "text\nx\n")).splits) == ["train"]
    with pytest.raises(DataError, match="unknown format"):
        open_corpus(write(tmp_path, "mine.txt", "x"))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.tsv", "./a/b", "a/b.tsv", "/a/b", "a/b/c", ""])
def test_a_name_that_is_nothing_says_what_there_could_be(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"no data at|holds no train"):
        open_corpus(name)


def test_clinc150_is_built_in_whole() -> None:
    assert BUILT_IN == ("clinc150",)
    corpus = open_corpus("clinc150")
    sizes = {split: sum(1 for _ in corpus.read(split)) for split in corpus.splits}
    assert sizes == {"train": 15000, "validation": 3000, "test": 4500}
    assert len({example.label for example in corpus.read("test")}) == 150
    assert len(list(open_corpus(built_in_file("clinc150", "oos_test.tsv")).read("train"))) == 1000
    assert "Creative Commons" in built_in_file("clinc150", "LICENSE").read_text(encoding="utf-8")


def test_fingerprint_is_the_sha256_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "train.tsv", "text\nx\n")
    assert open_corpus(path).split("train").fingerprint() == hashlib.sha256(b"text\nx\n").hexdigest()


def test_reading_yields_rows_before_the_file_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "x"}\n' * 5 + "broken")
    examples = open_corpus(path).read("train")
    assert [next(examples).text for _ in range(5)] == ["x"] * 5
    with pytest.raises(DataError, match="line 6"):
        next(examples)
