from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.mentions import MAX_MENTIONS, Mention, mentioned_paths

TREE = """\
```
greenhouse/
├── src/                # code
│   ├── pump.ts
│   ├── valves/
│   │   └── main_valve.ts
│   └── ...
│       └── unknown.ts
├── [name]_stats.json
└── README.md
```
"""
CLASSES = """\
```
App
├── Header
│   └── Menu
└── Footer
```
"""


def paths(text: str) -> list[str]:
    return [mention.path for mention in mentioned_paths(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The pump is in `src/pump.ts`.", ["src/pump.ts"]),
        ("See src/a.ts, src/b.py; (src/c.go) and **src/d.rs**:", ["src/a.ts", "src/b.py", "src/c.go", "src/d.rs"]),
        ("`a/b.ts:12`, `a/c.ts:12-20`, `a/d.ts#L3`, `a/e.py::test_b`", ["a/b.ts", "a/c.ts", "a/d.ts", "a/e.py"]),
        ("[the pump](src/pump.ts) and [its notes](../docs/pump.md#flow)", ["src/pump.ts", "../docs/pump.md"]),
        ("[rule](mdc:src/a.ts) [guide](docs/a%20guide.md) [guide](<docs/guide.md>)", ["src/a.ts", "docs/guide.md"]),
        ("Run `python scripts/water.py --now`.", ["scripts/water.py"]),
        ("`src/` has the code, `.github/workflows/` what runs it", ["src/", ".github/workflows/"]),
        ("`./src/pump.ts` and `/src/tank.ts`", ["src/pump.ts", "/src/tank.ts"]),
        ("```\na/b.ts\na/c.ts  # the tank\nimport x from './a/d.js'\n```\na/e.ts", ["a/b.ts", "a/c.ts", "a/e.ts"]),
        ("Größe/潮汐.md", ["Größe/潮汐.md"]),
        ("scripts/migrate_all.py and old/remove_user.sql", ["scripts/migrate_all.py", "old/remove_user.sql"]),
    ],
)
def test_what_is_a_path(text: str, expected: list[str]) -> None:
    assert paths(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/docs/page.html and file:///etc/a.conf",
        "github.com/owner/repo/main.go, docs.example.org/a.html, localhost:8000/a.html",
        "`@scope/pkg`, @scope/pkg/dist/index.js, `@/components/Button.tsx`",
        "`src/*.ts`, `src/**/a.ts`, **/src/a.ts, `src/{a,b}.ts`, src/<name>/a.ts, `[name]/a.ts`, src/.../a.ts",
        "path/to/file.ts, `your-project/main.py`, archive/YYYY-MM.md, $HOME/a.sh, ~/.config/a.toml",
        "application/json, text/markdown, image/svg+xml, and/or, client/server, CI/CD, 24/7, 1.5/2.0",
        "System.Text.Json/Newtonsoft.Json, React/Next.js, Vue.js/Nuxt.js, .js/.ts, `package.json/tsconfig.json`",
        "`dist/index.js`, `node_modules/a/b.js`, `__pycache__/`",
        "`/api/users/`, /health, `origin/main`, `README.md`, `Node.js`, C:\\src\\a.ts, C:/src/a.ts",
        "Removed `src/old.ts`. Moved src/a.ts to src/b.ts. `src/c.ts` no longer matters. ~~src/d.ts~~",
        "- [ ] write `src/new.ts`\n- Create src/new.ts\nPlanned: src/later.ts",
        "``` \nimport a from 'src/a.js'\nopen(src/a.ts)\n```",
        "../../issues/1.md in words, [wiki](../../wiki), [top](#top), [mail](mailto:a@b.c)",
        CLASSES,
        "```\n/var/lib/greenhouse/\n├── a.json\n└── b.json\n```",
        "└────────┘     └────────┘",
    ],
)
def test_what_is_none(text: str) -> None:
    assert paths(text) == []


def test_a_tree_diagram() -> None:
    found = {mention.path: mention for mention in mentioned_paths(TREE)}
    assert list(found) == [
        "greenhouse/src/",
        "greenhouse/src/pump.ts",
        "greenhouse/src/valves/",
        "greenhouse/src/valves/main_valve.ts",
        "greenhouse/README.md",
    ]
    assert found["greenhouse/src/pump.ts"] == Mention("greenhouse/src/pump.ts", 4, "src/pump.ts")


@pytest.mark.parametrize("mark", ["├── ", "|-- ", "`-- ", "+-- ", "└─ "])
def test_branches_as_people_draw_them(mark: str) -> None:
    assert paths(f"{mark}src/\n|   {mark}a.ts\n{mark}b.ts (the rest)") == ["src/", "src/a.ts", "b.ts"]


def test_each_path_is_told_once_with_its_first_line() -> None:
    assert mentioned_paths("x\n`src/a.ts`\nsrc/a.ts src/b.ts") == (Mention("src/a.ts", 2), Mention("src/b.ts", 3))


def test_there_is_an_end_to_it() -> None:
    assert len(mentioned_paths("\n".join(f"src/a{number}.ts" for number in range(3 * MAX_MENTIONS)))) == MAX_MENTIONS


PIECES = st.sampled_from(
    [
        "`",
        "```\n",
        "](",
        "<",
        ")",
        "/",
        "src/a.ts",
        "├── ",
        "│   ",
        "\n",
        "..",
        "~",
        "|-- ",
        " ",
        "\0",
        "\ud800",
        "é",
        ":",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)))
def test_any_text_will_do(text: str) -> None:
    lines = text.count("\n") + 1
    for mention in mentioned_paths(text):
        assert mention.path.rstrip("/").rpartition("/")[2] in text
        assert 1 <= mention.line <= lines
        assert not set(mention.path) & set("*<>{}\n \0`")


@pytest.mark.parametrize(
    "unit",
    [
        "`",
        "](",
        "a/",
        "a://",
        "src/a.ts ",
        "├── a/\n",
        "│" * 900 + "├── a/\n",
        "```md\n",
        "`a/b.ts` ",
        " " * 1_900 + "\n",
    ],
)
def test_a_megabyte_of_anything_is_read_in_seconds(unit: str) -> None:
    """Anybody's bank is read: twice the text must not take four times as long."""
    started = time.thread_time()
    mentioned_paths((unit * (1_000_000 // len(unit) + 1))[:1_000_000])
    assert time.thread_time() - started < 15
