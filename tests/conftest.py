"""What holds for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from antiphon.models.weights.manifest import default_names
from antiphon.models.weights.store import WeightStore
from antiphon.settings import load_settings

# A busy machine is no failure: Hypothesis bounds the number of examples, pytest-timeout the time.
settings.register_profile("antiphon", deadline=None)
settings.load_profile("antiphon")


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A test that sets logging up writes to its own captured streams; they are closed for the next one."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
        root.removeHandler(handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs weights that are not here; ``models("silero")`` needs only those named."""
    marked = [(item, marker) for item in items if (marker := item.get_closest_marker("models"))]
    if not marked:
        return
    store = WeightStore(load_settings(env_file=None).data_dir)
    for item, marker in marked:
        missing = [name for name in marker.args or default_names() if not store.has(name)]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not here: {', '.join(missing)}; run `antiphon models pull`"))
