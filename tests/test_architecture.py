"""Who may import whom, and what code that decides may not touch: the house's shape, walked import by import."""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

ACTING = {
    "asyncio",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
"""What only edges import: a module that decides is given time, randomness and bytes."""

PURE_WORDS = ("Pure.", "A machine", "Pure (")
"""A module that says so in the first paragraph of its docstring is held to it."""


def modules(package: str) -> Iterator[Path]:
    yield from sorted(path for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports anywhere, in full: `a.b` for `from a import b` as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are written in full"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def first_paragraph(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


SOURCES = [*modules("sfu"), *modules("signalling"), *modules("benchmarks")]
PURE = [path for path in SOURCES if any(word in first_paragraph(path) for word in PURE_WORDS)]


@pytest.mark.parametrize("path", list(modules("signalling")), ids=name)
def test_signalling_knows_of_the_sfu_only_its_contract(path: Path) -> None:
    known = [module for module in imports(path) if module == "sfu" or module.startswith("sfu.")]
    strangers = [module for module in known if not module.startswith("sfu.contract")]
    assert strangers == []


@pytest.mark.parametrize("path", list(modules("sfu")), ids=name)
def test_the_sfu_knows_nothing_of_signalling(path: Path) -> None:
    assert [module for module in imports(path) if module.split(".")[0] == "signalling"] == []


@pytest.mark.parametrize("path", list(modules("sfu/contract")), ids=name)
def test_the_contract_stands_apart_from_both_processes(path: Path) -> None:
    ours = [module for module in imports(path) if module.split(".")[0] in {"sfu", "signalling"}]
    assert [module for module in ours if not module.startswith("sfu.contract")] == []


@pytest.mark.parametrize("path", [*modules("sfu"), *modules("signalling")], ids=name)
def test_the_product_needs_neither_tests_nor_benchmarks(path: Path) -> None:
    assert [module for module in imports(path) if module.split(".")[0] in {"tests", "benchmarks", "pytest"}] == []


def acts(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)} & ACTING


def ours_below(path: Path) -> set[Path]:
    """The modules of ours that importing `path` brings in, itself included."""
    found, new = set[Path](), {path}
    while new:
        found |= new
        files = {ROOT / f"{module.replace('.', '/')}.py" for file in new for module in imports(file)}
        new = {file for file in files if file.exists()} - found
    return found


@pytest.mark.parametrize("path", PURE, ids=name)
def test_what_decides_does_not_act_nor_import_what_acts(path: Path) -> None:
    assert {name(file): acts(file) for file in ours_below(path) if acts(file)} == {}


def test_the_modules_that_must_decide_say_so() -> None:
    """The heart of either process; a module that loses the word in its docstring would escape the tests above."""
    decide = {
        "sfu/contract/messages.py",
        "sfu/space.py",
        "signalling/errors.py",
        "signalling/negotiation.py",
        "signalling/permissions.py",
        "signalling/sdp.py",
        "signalling/spaces.py",
        "signalling/tokens.py",
    }
    assert decide - {name(path) for path in PURE} == set()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not source.strip() or ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_module_holds_a_second_idea(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_function_fits_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    too_long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES]
    assert too_long == []


def test_nothing_is_imported_in_a_circle() -> None:
    known = {name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in SOURCES}
    graph = {module: set(imports(path)) & set(known) - {module} for module, path in known.items()}
    while leaves := {module for module, needed in graph.items() if not needed}:
        graph = {module: needed - leaves for module, needed in graph.items() if module not in leaves}
    assert graph == {}, f"imported in a circle: {', '.join(itertools.islice(sorted(graph), 10))}"
