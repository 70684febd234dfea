"""The file formats of texts: rows read lazily, and written whole or not at all."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO, TypeAlias

from mixkd.errors import DataError, MissingExtraError, OutputError
from mixkd.outputs import whole_file

SUFFIXES = (".tsv", ".csv", ".jsonl", ".parquet")
WRITABLE = (".tsv", ".csv", ".jsonl")

Row: TypeAlias = Mapping[str, object]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield a file's rows as mappings from column to value; the suffix says the format.

    Raises:
        DataError: If the file or a line of it can't be read; the message says which.
    """
    reader = {".tsv": _tsv_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    try:
        yield from reader[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): convert it first") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """Refuse a file name that `write_rows` has no format for.

    Raises:
        OutputError: If the suffix isn't one of `WRITABLE`.
    """
    if path.suffix.lower() not in WRITABLE:
        raise OutputError(f"{path} has no known format: name a file with {', '.join(WRITABLE)}")


def write_rows(path: Path, columns: list[str], rows: Iterable[Row]) -> None:
    """Write rows to a file that appears whole or not at all.

    Args:
        path: The suffix says the format. Tabs and line breaks become spaces in a .tsv, which can't hold them.
        columns: In this order; a row without one has it empty.
        rows: Strings; a .jsonl holds anything JSON does.

    Raises:
        OutputError: If the disk is full or the folder can't be written.
    """
    check_writable(path)
    with whole_file(path) as file:
        write = _line_writer(path.suffix.lower(), columns, file)
        for row in rows:
            write(row)


def _line_writer(suffix: str, columns: list[str], file: TextIO) -> Callable[[Row], object]:
    if suffix == ".jsonl":
        return lambda row: file.write(json.dumps(dict(row), ensure_ascii=False) + "\n")
    if suffix == ".csv":
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        return writer.writerow
    file.write("\t".join(columns) + "\n")
    return lambda row: file.write("\t".join(" ".join(str(row.get(c, "")).split()) for c in columns) + "\n")


def _tsv_rows(path: Path) -> Iterator[Row]:
    # As in GLUE: a quote is a character of the text, and a line is a row.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        header = file.readline().rstrip("\r\n").split("\t")
        _check_header(header, path)
        for number, line in enumerate(file, start=2):
            values = line.rstrip("\r\n").split("\t")
            if len(values) != len(header):
                raise DataError(
                    f"{path}, line {number}: {len(values)} fields where the header has {len(header)}"
                )
            yield dict(zip(header, values, strict=True))


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            _check_header(reader.fieldnames or (), path)
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(f"{path}, line {reader.line_num}: not as many fields as the header has")
                yield row
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.reader.line_num}: {error}") from error


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            yield _json_row(line, where=f"{path}, line {number}")


def _json_row(line: str, *, where: str) -> Row:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {error}") from error
    except ValueError as error:  # of int()
        most = sys.get_int_max_str_digits()
        raise DataError(f"{where}: a number has more than {most} digits") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: not a JSON object")
    if "\\ud" in line.lower():
        try:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise DataError(f"{where}: {half!r} is half of a surrogate pair, not a character") from error
    return row


def _check_header(names: Sequence[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise DataError(f"{path}, line 1: two columns have the name {twice[0]!r}: rename one")


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "compress") from error
    from pyarrow import ArrowInvalid

    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except ArrowInvalid as error:
        raise DataError(f"{path} is not a parquet file: {error}") from error
