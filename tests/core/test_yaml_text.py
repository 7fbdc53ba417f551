"""YAML that people write: words are words, and hostile text is refused in words."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_ai.core.errors import InvalidInput, LeptonError, NotFound
from lepton_ai.core.yaml_text import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3", -3), ("0", 0), ("+7", 7), ("1e5", 1e5), ("1.5e-3", 0.0015),
        ("-.5", -0.5), ("2.", 2.0), (".inf", float("inf")), ("true", True), ("false", False),
        ("null", None), ("~", None), ("012", "012"), ("0x1F", "0x1F"), ("0o7", "0o7"),
        ("0b1", "0b1"), ("1_000", "1_000"), ("12:30", "12:30"), ("1:2:3.5", "1:2:3.5"),
        ("on", "on"), ("no", "no"), ("True", "True"), ("2026-02-03", "2026-02-03"), ("'12'", "12"),
        ("1.2.3", "1.2.3"), ("9" * 30, int("9" * 30)),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    assert read_yaml(f"a: {text}\n", "rules", most=1000) == {"a": value}


@pytest.mark.parametrize(
    "text",
    [
        "a: !!timestamp abc\n", "a: !!bool x\n", "a: !!int ''\n", "a: !!set [a]\n", "a: !x b\n",
        "a: &b [1]\nc: *b\n", "a: 1\na: 2\n", "a: [1\n", "\x00\n", "[" * 5000 + "\n", "a: \ud800\n",
        f"a: {'9' * 900}\nb: {'x' * 200}\n", "a: 1\n" * 1000, "? [1]\n: 2\n", "a:\n\t- 1\n",
    ],
    ids=range(15),
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^rules"):
        read_yaml(text, "rules", most=1000)


@given(st.text(alphabet="ab:-[]{}!&*?|>%@`'\"\n 01.eE~#,<\t", max_size=60))
def test_anything_is_read_or_refused(text: str) -> None:
    with suppress(LeptonError):
        read_yaml(text + "\n", "rules", most=1000)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a: \xff\n")
    for path in (tmp_path / "bad", tmp_path, Path("a\0b"), Path("~nobody-of-this-name/x")):
        with pytest.raises(InvalidInput, match="cannot be read"):
            read_yaml(path, "rules", most=1000)
    with pytest.raises(NotFound, match="no file"):
        read_yaml(tmp_path / "none", "rules", most=1000)
    with pytest.raises(InvalidInput, match="1,000 characters"):
        read_yaml(Path("/dev/zero"), "rules", most=1000)
