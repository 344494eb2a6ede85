"""No cache of the dashboard grows without end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dashboard

CACHES = ("cache_data", "cache_resource")


def caches(tree: ast.AST) -> Iterator[ast.expr]:
    """Everything that is said of st.cache_data and st.cache_resource: calls, or bare names."""
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CACHES:
            yield called.get(id(node), node)


def test_every_cache_has_a_most():
    found = 0
    for file in Path(dashboard.__file__).parent.rglob("*.py"):
        for node in caches(ast.parse(file.read_text(encoding="utf-8"))):
            found += 1
            assert isinstance(node, ast.Call), f"{file.name}:{node.lineno}"
            assert "max_entries" in [keyword.arg for keyword in node.keywords], f"{file.name}:{node.lineno}"
    assert found > 10
