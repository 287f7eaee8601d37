"""Files and folders written whole or not at all, and read back with errors that say what is wrong with them.

Parquet and JSON files whose bytes depend on their content alone. A folder is written as a new sibling which then takes
the old one's place.
"""

import contextlib
import io
import json
import math
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fedtiny.errors import FolderError
from fedtiny.results.activities import Activities

FORMAT: Final = 2
_ROWS_PER_GROUP: Final = 1 << 16

Content = bytes | Iterable[bytes] | Callable[[BinaryIO], None]
"""Of a file: whole, in pieces, or what writes it."""


def write_table(table: Activities, schema: pa.Schema, file: BinaryIO) -> None:
    """Write a parquet file whose bytes depend on the values of the table alone; raises ValueError if it has other columns.

    One row group after the other: of a long table, only one of them is in memory a second time.
    """
    if isinstance(table, pa.Table) and not table.schema.equals(schema):
        raise ValueError(f"the table must have the columns\n{schema}\nand it has\n{table.schema}")
    with pq.ParquetWriter(file, schema, version="2.6", compression="zstd", compression_level=3) as writer:
        for group in _groups(table, schema):
            writer.write_table(group, _ROWS_PER_GROUP)


def _groups(table: Activities, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows as they are grouped in the file: one group, if there is no row."""
    if not table.num_rows:
        yield schema.empty_table()
    elif isinstance(table, pa.Table):
        # where the chunks of the table end must not be seen in the file
        yield from (table.slice(first, _ROWS_PER_GROUP).combine_chunks() for first in range(0, table.num_rows, _ROWS_PER_GROUP))
    else:
        yield from (pa.Table.from_batches([batch], schema) for batch in table.to_batches(_ROWS_PER_GROUP))


def table_bytes(table: pa.Table, schema: pa.Schema) -> bytes:
    """What `write_table` writes."""
    file = io.BytesIO()
    write_table(table, schema, file)
    return file.getvalue()


def read_table(path: Path, schema: pa.Schema, *, added: Collection[str] = ()) -> pa.Table:
    """The columns of the schema from a parquet file; raises FolderError if the file is missing, damaged or lacks a column.

    Columns in `added`, which earlier versions did not write, are null where they are missing.
    """
    try:
        missing = set(added) - set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=[name for name in schema.names if name not in missing], partitioning=None)
        for name in sorted(missing):
            table = table.append_column(schema.field(name), pa.nulls(table.num_rows, schema.field(name).type))
        return table.select(schema.names).cast(schema)
    except FileNotFoundError:
        raise FolderError(f"{path} is missing; run the scenario again") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise FolderError(f"{path} cannot be read ({first_line(error)}); run the scenario again") from error


def columns_of(path: Path) -> list[str]:
    """The columns of a parquet file that can be read."""
    return list(pq.read_schema(path).names)


def read_json(path: Path, required: tuple[str, ...]) -> dict[str, Any]:
    """A JSON document with the required keys and this version's format; raises FolderError if it is not one."""
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise FolderError(f"{path} is damaged ({first_line(error)}); run the scenario again") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        version = found.get("format") if isinstance(found, dict) else None
        remedy = "run the scenario again, or use the FedTiny that wrote it"
        raise FolderError(f"{path} has format {version!r} and this FedTiny reads format {FORMAT}: {remedy}")
    missing = [key for key in required if key not in found]
    if missing:
        raise FolderError(f"{path} lacks {', '.join(missing)}; run the scenario again")
    return found


def json_text(document: Mapping[str, Any]) -> str:
    """A JSON document with two spaces of indentation; numbers that are not finite become null, NumPy numbers plain ones."""
    return json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raises FolderError if it cannot be written."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _folder_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_bytes(content)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)


def replace_folder(place: Path, contents: Mapping[str, Content], *, ours: Collection[str]) -> None:
    """Put a folder with these files in the place of the one that is there.

    Entries of the old folder that are not `ours` (a user's own) are carried over. At every moment the path holds one whole
    folder or, between two renames, none. Raises FolderError if it cannot be written.
    """
    target = place.resolve()
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    with _folder_errors(place):
        try:
            fresh.mkdir(parents=True)
            for name, content in contents.items():
                with fresh.joinpath(name).open("wb") as file:
                    _write(file, content)
            _swap(fresh, target, ours)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def read_text(path: Path) -> str:
    """The text of a file; raises FolderError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} cannot be read ({first_line(error)}); run the scenario again") from error


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _write(file: BinaryIO, content: Content) -> None:
    if callable(content):
        content(file)
    else:
        file.writelines([content] if isinstance(content, bytes) else content)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _swap(fresh: Path, target: Path, ours: Collection[str]) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    old = fresh.with_suffix(".old")
    target.rename(old)
    try:
        fresh.rename(target)
    except BaseException:
        old.rename(target)
        raise
    for entry in old.iterdir():
        if entry.name not in ours:
            entry.rename(target / entry.name)
    shutil.rmtree(old)


@contextlib.contextmanager
def _folder_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(f"{place} cannot be written ({error.strerror or error}): choose another --out, or make room") from error
