"""What holds for the page's files without opening them in a browser."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from signalling.web.page import ROOT

NODE = compute_driver_executable()[0]
"""Playwright brings a Node of its own, so these tests need none installed."""

MODULES = sorted(ROOT.rglob("*.js"))
LANGUAGES = sorted((ROOT / "messages").glob("*.json"))

IMPORT = re.compile(r'^(?:import|export) [^"=]* from "([^"]+)";$', re.MULTILINE)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(module: Path) -> list[Path]:
    return [(module.parent / target).resolve() for target in IMPORT.findall(module.read_text())]


def messages(path: Path) -> dict[str, str]:
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_is_valid_and_of_readable_length(module: Path) -> None:
    checked = subprocess.run(
        [NODE, "--input-type=module", "--check"], input=module.read_bytes(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()
    assert len(module.read_text().splitlines()) <= 300
    assert module.read_text().startswith("/**")


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_imports_name_files_of_the_page(module: Path) -> None:
    missing = [target for target in imports_of(module) if not target.is_file()]
    assert missing == []


def test_the_client_module_depends_on_nothing_of_the_page() -> None:
    sdk = {ROOT / "palco.js", *(ROOT / "sdk").glob("*.js")}
    outward = {name(module): name(target) for module in sdk for target in imports_of(module) if target not in sdk}
    assert outward == {}


def test_the_readme_speaks_of_what_there_is() -> None:
    readme = (ROOT / "README.md").read_text()
    client = (ROOT / "sdk" / "space.js").read_text()
    exported = set(re.findall(r"\w+", " ".join(re.findall(r"export \{([^}]*)\}", (ROOT / "palco.js").read_text()))))
    called = set(re.findall(r"\bspace\.(\w+)\(", readme)) - {"addEventListener"}
    missing = {method for method in called if not re.search(rf"^  (?:async )?{method}\(", client, re.MULTILINE)}
    assert missing == set()
    for imported in re.findall(r"import \{([^}]*)\} from", readme):
        assert set(re.findall(r"\w+", imported)) <= exported
    parts = readme.partition("## The parts")[2]
    assert set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", parts, re.MULTILINE)))) <= exported


def test_every_module_is_reached_and_preloaded() -> None:
    reached: set[Path] = set()
    frontier = [ROOT / "app" / "main.js"]
    while frontier:
        module = frontier.pop()
        if module not in reached:
            reached.add(module)
            frontier += imports_of(module)
    preloaded = set(re.findall(r'rel="modulepreload" href="([^"]+)"', (ROOT / "index.html").read_text()))
    assert {name(module) for module in MODULES} == {name(module) for module in reached}
    assert preloaded == {name(module) for module in reached} - {"app/main.js"}


class Inline(HTMLParser):
    """Collects what a strict Content-Security-Policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {attribute for attribute, _ in attrs}
        self._script = tag == "script" and "src" not in names
        if tag == "style" or self._script or "style" in names or any(one.startswith("on") for one in names):
            self.found.append(self.get_starttag_text() or tag)


def test_the_document_has_no_inline_script_or_style() -> None:
    parser = Inline()
    parser.feed((ROOT / "index.html").read_text())
    assert parser.found == []


def test_nothing_comes_from_another_host() -> None:
    own = {"http://www.w3.org/2000/svg"}
    text_files = [path for path in ROOT.rglob("*") if path.suffix in {".js", ".css", ".html", ".svg", ".json"}]
    address = re.compile(r"(?:https?:|wss?:|[\"'(])//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*")
    outside = {name(path): set(address.findall(path.read_text())) - own for path in text_files}
    assert {path: urls for path, urls in outside.items() if urls} == {}


def test_no_markup_is_made_from_strings() -> None:
    banned = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert [name(module) for module in MODULES if banned.search(module.read_text())] == []


def test_all_languages_say_the_same_things() -> None:
    keys = {path.name: list(messages(path)) for path in LANGUAGES}
    assert len(keys) >= 2
    assert len({tuple(one) for one in keys.values()}) == 1, keys


def test_placeholders_are_the_same_in_all_languages() -> None:
    def slots(path: Path) -> dict[str, set[str]]:
        # A plural may leave its number out ("one more person").
        return {key: set(re.findall(r"\{(\w+)\}", text)) - {"count"} for key, text in messages(path).items()}

    assert all(slots(path) == slots(LANGUAGES[0]) for path in LANGUAGES)


def test_every_text_that_a_module_asks_for_exists() -> None:
    known = set(messages(LANGUAGES[0]))
    for module in MODULES:
        text = module.read_text()
        asked = set(re.findall(r"""\bt\(\s*"([\w.]+)\"""", text)) | set(re.findall(r"""notice\(\s*"([\w.]+)\"""", text))
        plurals = {f"{key}.{form}" for key in re.findall(r"""\btn\("([\w.]+)\"""", text) for form in ("one", "other")}
        assert asked | plurals <= known, module


def screens() -> set[str]:
    """The names of the screens of trouble."""
    return set(re.findall(r"^  (\w+): \{ icon", (ROOT / "app" / "problems.js").read_text(), re.MULTILINE))


def test_every_refusal_leads_to_a_screen_that_exists() -> None:
    problems = (ROOT / "app" / "problems.js").read_text()
    led_to = set(re.findall(r'^  \w+: "(\w+)",$', problems, re.MULTILINE))
    led_to |= set(re.findall(r'\d+: "(\w+)"', problems))
    assert led_to <= screens()


def test_every_screen_has_its_words() -> None:
    problems = (ROOT / "app" / "problems.js").read_text()
    ways = {way for found in re.findall(r"ways: \[([^\]]*)\]", problems) for way in re.findall(r'"(\w+)"', found)}
    for path in LANGUAGES:
        known = set(messages(path))
        assert {f"screen.{screen}.{part}" for screen in screens() for part in ("title", "text")} <= known
        assert {f"way.{way}" for way in ways} <= known


def test_every_drawing_that_is_asked_for_exists() -> None:
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "icons.svg").read_text()))
    pattern = re.compile(r'(?:\bicon\(|drawing: |icon: )"([\w-]+)"')
    asked = {found for module in MODULES for found in pattern.findall(module.read_text())}
    assert asked <= drawn
