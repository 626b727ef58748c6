"""One reading of a file or folder: what is wrong, what may be asked of the environment, and which code was run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

from antiphon.agents.files.environment import Allowed
from antiphon.agents.files.findings import Findings
from antiphon.agents.modules import ModuleFault, load_module
from antiphon.settings import load_settings, yaml_environment


def allowed_by_settings() -> Allowed:
    """What the operator's settings allow, read at the first question."""
    return cache(lambda: yaml_environment(load_settings()))


@dataclass(slots=True)
class Reading:
    """What the parts of the reader share."""

    allowed: Allowed
    found: Findings = field(default_factory=Findings)
    failed: set[Path] = field(default_factory=set)
    """Files of Python that could not be run."""
    triggers: Collection[str] = ()
    """Names of the tools that lead to the agents that are read: an agent may list them among its own."""
    _modules: dict[Path, ModuleType | None] = field(default_factory=dict)

    def tools_beside(self, path: Path) -> ModuleType | None:
        """The ``tools.py`` beside a file, run once in this reading; None where there is none, or where it fails."""
        source = path.parent / "tools.py"
        if source not in self._modules:
            self._modules[source] = self._run(source) if source.is_file() else None
        return self._modules[source]

    def _run(self, source: Path) -> ModuleType | None:
        try:
            return load_module(source)
        except ModuleFault as fault:
            self.found.about(source, fault.reason, fault.line)
            self.failed.add(source)
            return None
