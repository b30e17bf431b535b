"""Shells complete, and what is misspelt is recognized."""

import shutil
import subprocess

import numpy as np
import pytest

import pympf
from pympf.cli import main
from pympf.la import checks

A = pympf.gallery.poisson((8, 8))


@pytest.fixture
def script(capsys):
    pytest.importorskip("shtab")

    def make(shell):
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return make


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_know_all_commands_and_flags(script, shell, tmp_path):
    text = script(shell)
    for word in ("factor", "solve", "explain", "repository", "precond", "core-size"):
        assert word in text or word == "repository"
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(text)
        subprocess.run([shell, "-n", str(file)], check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("so", "solve"),
        ("solve --meth", "--method"),
        ("solve --method gm", "gmres"),
        ("sketch fo", "forget"),
        ("solve matr", "matrix.mtx"),
    ],
)
def test_bash_completes(script, tmp_path, words, expected):
    if not shutil.which("bash"):
        pytest.skip("there is no bash")
    (tmp_path / "script").write_text(script("bash"))
    (tmp_path / "matrix.mtx").touch()
    ask = f"""
        source ./script
        COMP_WORDS=(pympf {words}); COMP_CWORD={len(words.split())}
        _shtab_pympf
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True)
    assert expected in run.stdout.split(), run


def test_without_shtab_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["slove", "A.mtx"], "solve"),
        (["sketch", "forgt"], "forget"),
        (["solve", "A.mtx", "--preconditioner", "clasic"], "classic"),
        (["solve", "A.mtx", "--preconditoner", "mmf"], "--preconditioner"),
        (["completion", "bahs"], "bash"),
    ],
)
def test_commands_flags_and_words_are_recognized(arguments, meant, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: pympf.solve(A, np.ones(64), preconditioner="clasic"), "classic"),
        (lambda: pympf.solve(A, np.ones(64), method="gmers"), "gmres"),
        (lambda: pympf.solve(A, np.ones(64), smother="jacobi"), "smoother"),
        (lambda: pympf.solve(A, np.ones(64), cycle="additiv"), "additive"),
        (lambda: pympf.factorize(A, retire="relativ"), "relative"),
        (lambda: pympf.factorize(A, core_sise=3), "core_size"),
        (lambda: pympf.as_preconditioner(A, method="multlevel"), "multilevel"),
    ],
)
def test_keywords_and_words_are_recognized(call, meant):
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?"):
        call()


def test_nothing_is_guessed_where_nothing_is_near():
    assert checks.hint("quux", ("cg", "gmres")) == ""
    assert checks.hint(3, ("cg", "gmres")) == ""
