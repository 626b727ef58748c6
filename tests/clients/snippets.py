"""The programs of docs/realtime.md, run as they are printed there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.clients import script

PAGE = Path(__file__).parents[2] / "docs" / "realtime.md"

_PROGRAM = re.compile(r"<!-- (\w+) -->\n```python\n(.*?)```", re.DOTALL)


def programs(port: int) -> dict[str, str]:
    """The page's programs by name, for the server at a port of this machine."""
    page = PAGE.read_text(encoding="utf-8")
    return {
        name: program.replace("localhost:8000", f"127.0.0.1:{port}")
        .replace('"KEY"', f'"{script.KEY}"')
        .replace("Bearer KEY", f"Bearer {script.KEY}")
        for name, program in _PROGRAM.findall(page)
    }
