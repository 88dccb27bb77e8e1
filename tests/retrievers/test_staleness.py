from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers import repository
from retrievers.corpus import CorpusReader
from retrievers.missing import Project
from retrievers.repository import Git, installed_git
from retrievers.staleness import (
    LEAST_MENTIONED,
    MAX_COMMITS,
    NO_ANSWER,
    STALE_COMMITS,
    STALE_DAYS,
    HeadMove,
    head_move,
    judge,
)
from tests.retrievers.git_support import GIT, START_S, Repo, needs_git, posix_only, stand_in
from tests.retrievers.memory_support import find_bank

ACTIVE = "memory-bank/activeContext.md"
BANK = {ACTIVE: "# Active\n\nThe pump.\n", "memory-bank/projectbrief.md": "# Brief\n"}


def moved(commits: int = 0, days: float = 0.0, *, at_least: bool = False) -> HeadMove:
    return HeadMove(ACTIVE, datetime.fromtimestamp(START_S, tz=UTC), commits, days, at_least)


def since_touched(workspace: Path, git: Git | None = None) -> HeadMove | str:
    workspace = workspace.resolve()
    bank = find_bank(workspace)
    assert bank is not None
    corpus = CorpusReader(max_file_bytes=1_000_000).read(bank)
    git = git or installed_git()
    return head_move(corpus, Project(workspace, workspace, git.open(workspace)))


def known(found: HeadMove | str) -> HeadMove:
    assert isinstance(found, HeadMove), found
    return found


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "greenhouse")
    repo.commit({"src/old.ts": "0"}, days_later=-30)
    repo.commit(BANK, days_later=30)
    return repo


@pytest.mark.parametrize(
    ("head", "mentioned", "missing", "verdict"),
    [
        (moved(), 0, 0, "fresh"),
        (moved(STALE_COMMITS - 1, STALE_DAYS - 0.1), 20, 4, "fresh"),
        (moved(STALE_COMMITS), 20, 0, "stale"),
        (moved(1, STALE_DAYS), 20, 0, "stale"),
        (moved(0), LEAST_MENTIONED, 2, "stale"),
        (moved(0), LEAST_MENTIONED - 1, LEAST_MENTIONED - 1, "fresh"),
        ("there is no HEAD", 20, 0, "unknown"),
        ("there is no HEAD", 20, 5, "stale"),
        (moved(2, at_least=True), 20, 0, "unknown"),
        (moved(STALE_COMMITS, at_least=True), 20, 0, "stale"),
    ],
)
def test_the_verdict(head: HeadMove | str, mentioned: int, missing: int, verdict: str) -> None:
    told = judge(head, mentioned, missing)
    assert told.verdict == verdict
    assert told.reason.startswith(f"{verdict}: ")
    assert (told.mentioned_paths, told.missing_paths) == (mentioned, missing)


@pytest.mark.parametrize(
    ("head", "mentioned", "reason"),
    [
        (moved(42, 19.2), 20, f"stale: 42 commits in 19 days since {ACTIVE} was last touched; 7 of 20"),
        (moved(1, 1.0), 0, f"fresh: 1 commit in 1 day since {ACTIVE} was last touched; no paths are mentioned."),
        (moved(2, 0.3), 0, f"fresh: 2 commits within a day since {ACTIVE} was last touched;"),
        (moved(), 0, f"fresh: no commits since {ACTIVE} was last touched;"),
        (moved(MAX_COMMITS, 90), 0, "stale: 1000 or more commits in 90 days"),
        (moved(3, 2, at_least=True), 0, "unknown: at least 3 commits in 2 days"),
        ("Git found no repository", 20, "stale: Git found no repository; 7 of 20 mentioned paths no longer exist."),
    ],
)
def test_the_reason_is_a_sentence(head: HeadMove | str, mentioned: int, reason: str) -> None:
    assert judge(head, mentioned, 7).reason.startswith(reason)


@given(st.integers(0, 2_000), st.floats(0, 1e6), st.booleans(), st.integers(0, 50), st.data())
def test_more_of_anything_never_makes_a_stale_bank_fresh(
    commits: int, days: float, at_least: bool, mentioned: int, data: st.DataObject
) -> None:
    missing = data.draw(st.integers(0, mentioned))
    worse = judge(moved(commits + 1, days + 1, at_least=at_least), mentioned, mentioned)
    if judge(moved(commits, days, at_least=at_least), mentioned, missing).verdict == "stale":
        assert worse.verdict == "stale"


@needs_git
def test_commits_since_the_active_context_was_committed(repo: Repo) -> None:
    touched = known(since_touched(repo.folder))
    assert (touched.commits, touched.days, touched.file) == (0, 0.0, ACTIVE)
    assert touched.touched_at == datetime.fromtimestamp(START_S, tz=UTC)
    for number in range(3):
        repo.commit({"src/pump.ts": str(number)}, days_later=2)
    repo.commit({"memory-bank/progress.md": "# Progress\n"}, days_later=40)
    found = known(since_touched(repo.folder))
    assert (found.commits, found.days) == (3, 6.0)
    repo.commit({ACTIVE: "# Active\n\nThe tank.\n"}, days_later=1)
    assert known(since_touched(repo.folder)).commits == 0


@needs_git
def test_a_change_that_is_not_committed_counts_from_its_own_time(repo: Repo) -> None:
    repo.commit({"src/pump.ts": "1"}, days_later=5)
    repo.commit({"src/pump.ts": "2"}, days_later=5)
    active = repo.folder / ACTIVE
    active.write_text("# Active\n\nThe frost.\n", encoding="utf-8")
    os.utime(active, (repo.now_s - 60, repo.now_s - 60))
    found = known(since_touched(repo.folder))
    assert found.commits == 1
    assert found.touched_at == datetime.fromtimestamp(repo.now_s - 60, tz=UTC)


@needs_git
def test_a_bank_that_git_does_not_know_counts_from_its_own_time(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "greenhouse")
    repo.commit({".gitignore": "memory-bank/\n", **BANK})
    os.utime(repo.folder / ACTIVE, (repo.now_s + 60, repo.now_s + 60))
    repo.commit({"src/pump.ts": "1"}, days_later=20)
    found = known(since_touched(repo.folder))
    assert found.commits == 1
    assert found.days == pytest.approx(20, abs=0.01)


@needs_git
@pytest.mark.parametrize("written", [b"# Active\n\nThe pump.\n", b"# Active\r\n\r\nThe pump.\r\n"])
def test_a_checkout_is_no_change_also_with_other_line_ends(repo: Repo, written: bytes) -> None:
    (repo.folder / ACTIVE).write_bytes(written)
    assert known(since_touched(repo.folder)).touched_at == datetime.fromtimestamp(START_S, tz=UTC)


@needs_git
def test_in_a_larger_repository_only_the_project_counts(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "mono")
    repo.commit({f"packages/a/{name}": text for name, text in BANK.items()})
    repo.commit({"packages/b/x.ts": "1"})
    repo.commit({"packages/a/x.ts": "1"})
    assert known(since_touched(repo.folder / "packages" / "a")).commits == 1


@needs_git
def test_core_files_among_others_are_left_out_one_by_one(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "greenhouse")
    repo.commit({"activeContext.md": "a", "progress.md": "p"})
    repo.commit({"progress.md": "q"})
    repo.commit({"main.py": "1"})
    assert known(since_touched(repo.folder)).commits == 1


@needs_git
def test_a_merged_branch_counts_with_all_its_commits(repo: Repo) -> None:
    repo.git("switch", "--quiet", "--create", "frost", "HEAD~1")
    repo.commit({"src/frost.ts": "1"}, days_later=1)
    repo.commit({"src/frost.ts": "2"})
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", "frost")
    assert known(since_touched(repo.folder)).commits >= 2


@needs_git
def test_a_shallow_clone_tells_at_least_so_many(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"src/pump.ts": "1"})
    for depth, commits, at_least in ((1, 0, True), (2, 1, True), (3, 1, False)):
        folder = tmp_path / f"clone{depth}"
        repo.git("clone", "--quiet", f"--depth={depth}", repo.folder.as_uri(), str(folder))
        found = known(since_touched(folder))
        assert (found.commits, found.at_least) == (commits, at_least)


@needs_git
def test_sha256_repositories(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "greenhouse", "--object-format=sha256")
    repo.commit(BANK)
    repo.commit({"src/pump.ts": "1"})
    found = known(since_touched(repo.folder))
    assert (found.commits, found.touched_at) == (1, datetime.fromtimestamp(START_S, tz=UTC))


@needs_git
def test_why_it_is_not_known(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "greenhouse")
    for name, text in BANK.items():
        path = repo.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert since_touched(repo.folder, Git(None)) == "Git found no repository that it may read"
    assert since_touched(repo.folder) == "the repository has no commits"
    outer = Repo(tmp_path)
    outer.git("commit", "--quiet", "--allow-empty", "--message", "dotfiles")
    (repo.folder / ".git").rename(tmp_path / "away")
    assert since_touched(repo.folder) == "the repository does not hold this project"
    (repo.folder / ACTIVE).rename(repo.folder / "memory-bank" / "progress.md")
    assert since_touched(repo.folder) == "the bank has no activeContext"


@posix_only
@needs_git
@pytest.mark.parametrize("slow", ["rev-list*-1", "rev-list*--max-count"])
def test_a_slow_git_leaves_it_unknown(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
    """The answer that did not come was remembered as "not committed", and the bank called fresh."""
    monkeypatch.setattr(repository, "GIT_LIMIT_S", 0.5)
    git = stand_in(tmp_path, f'case "$*" in *{slow}*) exec sleep 30;; esac\nexec {GIT} "$@"')
    for _ in range(2):
        assert since_touched(repo.folder, git) == NO_ANSWER


@needs_git
def test_times_that_no_date_can_hold(repo: Repo) -> None:
    repo.now_s = 99_999_999_999
    repo.commit({ACTIVE: "# Active\n\nThe sun.\n"})
    assert known(since_touched(repo.folder)).touched_at.year == 3000
