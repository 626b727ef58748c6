"""Agents in files: a YAML agent, a folder of them, or a Python file.

Reading is strict. An unknown key, a missing tool or a value out of its bounds is an error with file and line, and all
errors of all files are told at once.
"""

from antiphon.agents.files.findings import Finding
from antiphon.agents.files.load import Examined, examine, load_agents, load_yaml_agent
from antiphon.agents.files.watching import stamp

__all__ = ["Examined", "Finding", "examine", "load_agents", "load_yaml_agent", "stamp"]
