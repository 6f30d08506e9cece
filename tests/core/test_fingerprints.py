from __future__ import annotations

from pathlib import Path

from task2sim import fingerprint_folder


def test_a_fingerprint_sees_names_and_contents_and_not_the_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "x").write_text("1")
    same = fingerprint_folder(first)
    assert fingerprint_folder(second) == same
    (second / ".hidden").write_text("")
    assert fingerprint_folder(second) == same
    (second / "sub" / "x").write_text("2")
    changed = fingerprint_folder(second)
    (second / "sub" / "x").rename(second / "sub" / "y")
    assert len({same, changed, fingerprint_folder(second)}) == 3
    assert fingerprint_folder(tmp_path / "missing") == fingerprint_folder(tmp_path / "missing too")
