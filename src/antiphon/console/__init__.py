"""The web page. Its source is in ``web/``; ``make console`` builds it into ``dist`` beside this file."""

from __future__ import annotations

from pathlib import Path

DIST = Path(__file__).parent / "dist"
"""The built page; missing in a source tree where nobody has built it."""
