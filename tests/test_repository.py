"""What must be true of the repository as a whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import antiphon

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Loaded by those who use them, never by `import antiphon` itself.
HEAVY = {
    *("fastapi", "hibari_tts", "httpx", "jinja2", "msgspec", "numpy", "onnxruntime", "prometheus_client", "pydantic"),
    *("rich", "soxr", "sqlalchemy", "structlog", "tokenizers", "typer", "uvicorn", "websockets", "xllamacpp", "yaml"),
}
MOST_MODULES = 60
LARGEST_TEXT = 2_000_000


def tracked_texts() -> list[Path]:
    """Files that git knows or would add, as far as they are text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git working copy")
    paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [
        path
        for path in paths
        if path.is_file() and path.stat().st_size < LARGEST_TEXT and b"\0" not in path.read_bytes()[:4096]
    ]


def in_fresh_python(code: str) -> str:
    """What ``code`` prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    return done.stdout.strip()


def test_imports_never_go_up() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_antiphon_loads_no_heavy_package() -> None:
    loaded = in_fresh_python("import sys, antiphon; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert "antiphon" in loaded
    assert not HEAVY & set(loaded)


def test_importing_antiphon_loads_few_modules() -> None:
    code = "import sys; before = set(sys.modules); import antiphon; print(len(set(sys.modules) - before))"
    assert int(in_fresh_python(code)) < MOST_MODULES


def test_the_public_names_are_there() -> None:
    for name in antiphon.__all__:
        assert getattr(antiphon, name) is not None


def test_the_version_is_the_same_everywhere() -> None:
    assert antiphon.__version__ == PROJECT["version"]


def test_no_tracked_file_names_a_package_index_or_a_place_on_this_machine() -> None:
    index = r"https?://[\w.@:-]*(?:pypi|pythonhosted|npmjs|artifactory|nexus)[\w.-]*"
    place = r"(?<![\w.])/(?:home|root|Users|work)/\w"
    forbidden = re.compile(f"{index}|{place}|^--(?:extra-)?index-url", re.IGNORECASE | re.MULTILINE)
    found = []
    for path in tracked_texts():
        if path != Path(__file__).resolve():
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in forbidden.finditer(text)]
    assert not found


def test_every_requirement_has_hashes() -> None:
    folders = [ROOT / "requirements", ROOT / "benchmarks" / "requirements", ROOT / "tests" / "clients" / "requirements"]
    files = [path for folder in folders for path in folder.glob("*.txt")]
    assert {path.stem for path in files} >= {"run", "dev", "node", "openai"}
    for path in files:
        for requirement in path.read_text().replace("\\\n", "").splitlines():
            assert re.match(r"[A-Za-z0-9_.-]+(?:\[[a-z0-9, -]+\])?==\S+.* --hash=sha256:[0-9a-f]{64}", requirement), (
                path.name,
                requirement,
            )


def test_every_dependency_is_locked() -> None:
    extras_of = PROJECT["optional-dependencies"]
    for name, extras in {"run": [], "dev": list(extras_of)}.items():
        wanted = [*PROJECT["dependencies"], *(word for e in extras for word in extras_of[e])]
        locked = {
            re.split(r"==|\[", line)[0].strip()
            for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        }
        names = {re.split(r"[<>=;\[ ]", word)[0].lower().replace("_", "-") for word in wanted}
        assert names - {"antiphon"} <= locked


def make_environment(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `make setup` runs, for another folder."""
    command = ["sh", "scripts/environment.sh", str(folder), "requirements/run.txt"]
    environment = os.environ | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.skipif(os.name == "nt", reason="the script is for a POSIX shell")
def test_set_up_says_what_to_do_without_a_python_that_is_new_enough(tmp_path: Path) -> None:
    done = make_environment(tmp_path / "env", PYTHON="false")
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (tmp_path / "env").exists()


@pytest.mark.skipif(os.name == "nt", reason="the script is for a POSIX shell")
def test_set_up_does_nothing_when_nothing_changed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    requirements = (ROOT / "requirements" / "run.txt").read_text()
    (tmp_path / ".antiphon-stamp").write_text(f"{ROOT}\n{requirements}")
    done = make_environment(tmp_path, PYTHON="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_ten_line_agent_is_an_agent() -> None:
    code = "import runpy; print(runpy.run_path('examples/front_desk.py')['agent'].name)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.stdout.strip() == "front-desk", done.stderr


def test_the_readme_shows_the_example_word_for_word() -> None:
    readme = (ROOT / "README.md").read_text()
    source = (ROOT / "examples" / "front_desk.py").read_text()
    shown = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[0]
    assert [line for line in shown.splitlines() if line and line not in source.splitlines()] == ["HOURS = {...}"]


def test_r34_the_core_knows_no_trade() -> None:
    trade = re.compile(r"\b(?:banking|insur\w+|policyholders?|underwrit\w+|mortgage\w*)\b", re.IGNORECASE)
    code = [path for path in (ROOT / "src").rglob("*.py") if "demo" not in path.parts]
    told = {
        path.name: found for path in code if (found := trade.findall(re.sub(r'"""[\s\S]*?"""', "", path.read_text())))
    }
    assert len(code) > 300
    assert not told


def test_r48_every_telephone_number_is_made_up() -> None:
    # Set aside for stories by those who give numbers out: North America, the United Kingdom, Germany.
    made_up = re.compile(r"\+(?:1\d{0,3}55501\d\d|44(?:1632960|2079460)\d{3}|493023125\d{3})")
    published = {"+14158675309", "+18005551212"}  # the carrier's own example of its signature
    numbers = {
        number
        for path in tracked_texts()
        for number in re.findall(r"(?<![\w+.])\+[1-9]\d{7,14}(?!\d)", path.read_text(errors="replace"))
    }
    assert numbers > published
    assert not {number for number in numbers - published if not made_up.fullmatch(number)}
