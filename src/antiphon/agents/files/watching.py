"""Whether agents have changed on disk: their files, and all that these read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from antiphon.agents.files.findings import Findings
from antiphon.agents.files.kinds import plain
from antiphon.agents.files.merge import defaults_of
from antiphon.agents.files.nodes import child, compose, plain_node
from antiphon.agents.files.prompts import prompt_path

Stamp = frozenset[tuple[str, int, int]]


def stamp(path: Path) -> Stamp:
    """What an agent file, a folder of them and the files that they read look like now; another value is a change."""
    files = _in_folder(path) if path.is_dir() else _of_file(path)
    return frozenset(_stamps(files))


def _in_folder(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not any(part.startswith(".") or part == "__pycache__" for part in parts):
            yield path


def _of_file(path: Path) -> Iterator[Path]:
    """The file, the Python files beside it, and of a YAML file its defaults and its prompt."""
    yield path
    yield from path.parent.glob("*.py")
    if path.suffix == ".py":
        return
    yield from defaults_of(path)
    for name, modified_ns, _ in _stamps([path, *defaults_of(path)]):
        prompt = _prompt(Path(name), modified_ns)
        if prompt is not None and (inside := prompt_path(path, prompt)) is not None:
            yield inside


@lru_cache(maxsize=64)
def _prompt(path: Path, modified_ns: int) -> str | None:
    """What a file names as its prompt; asked every second, and read again only when the file has changed."""
    root = compose(Findings(), path)
    prompts = child(root, "prompts") if root is not None else None
    name = child(prompts, "path") if prompts is not None else None
    value = plain(plain_node(name)) if name is not None else None
    return value if isinstance(value, str) else None


def _stamps(files: Iterable[Path]) -> Iterator[tuple[str, int, int]]:
    for file in files:
        try:
            status = file.stat()
        except OSError:  # gone meanwhile, as when an editor puts a new file in the place of an old one
            continue
        yield str(file), status.st_mtime_ns, status.st_size
