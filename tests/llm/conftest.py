"""Asserts in the shared suite explain themselves as in any test."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.llm.contract")
