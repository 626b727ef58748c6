from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = (".gitignore", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE", "src", "examples")
PAGE = "antiphon/console/dist"


def build(target: str, source: Path, into: Path) -> Path:
    """What a build front end does, without its environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    (made,) = into.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def test_wheel_that_is_built_from_the_sdist_holds_the_page(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    ignored = shutil.ignore_patterns("dist", "__pycache__")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, source / part)
    page = source / "src" / PAGE
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>")
    (page / "assets" / "app-1234.js").write_text("let a")
    with tarfile.open(build("sdist", source, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(build("wheel", unpacked, tmp_path / "wheel")) as wheel:
        names = set(wheel.namelist())
    assert {f"{PAGE}/index.html", f"{PAGE}/assets/app-1234.js", "antiphon/console/__init__.py"} <= names
    assert {"antiphon/py.typed", "antiphon/models/weights/manifest.py"} <= names
    assert not any("__pycache__" in name or name.startswith(("tests/", "web/")) for name in names)
