"""What bash, zsh and fish themselves offer while a command line is written, beside what --help names."""
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import bed
from suite import Skipped, check, equal, test

ASK_ZSH = Path(__file__).resolve().parent / "ask.zsh"


@functools.lru_cache(None)
def help_of(noun="", verb=""):
    return bed.daemon().cli_run(*filter(None, (noun, verb)), "--help").stdout


def commands_of_overview():
    """(noun, verb or "") of every command, as the overview lists them."""
    rows = re.findall(r"^  ([a-z]+)(?: ([a-z]+)(?= |$))?", help_of(), re.MULTILINE)
    return [(noun, verb) for noun, verb in rows]


def options_of(noun, verb):
    return set(re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", help_of(noun, verb), re.MULTILINE))


def script_for(shell):
    if not shutil.which(shell):
        raise Skipped(f"there is no {shell}")
    return bed.daemon().cli_run("completion", shell).stdout


def check_offers(completed):
    """completed(folder, lines) tells what a shell offers for each line, whose last word is being written, as a list of sets."""
    commands = commands_of_overview()
    check(len(commands) > 50, "commands", commands)
    nouns = sorted({noun for noun, _ in commands})
    with_verbs = [noun for noun in nouns if (noun, "") not in commands]
    lines = [("",), ("sea",), ("search", "create", "x", "--max-l"), *((noun, "") for noun in with_verbs), *((noun, verb, "--") if verb else (noun, "--") for noun, verb in commands)]
    fronts = [("--json",), ("-u", "unix:/x"), ("--url=unix:/x",), ("--no-headers", "--token", "search", "-j")]
    for front in fronts:
        lines += [(*front, ""), (*front, "sea"), (*front, "search", ""), (*front, "search", "create", "x", "--max-l"), (*front, "status", "--"), (*front, "--")]
    files = [("backup", "mond"), ("search", "export", "x", "--file", "mond"), ("--ca-file", "mond"), ("-j", "backup", "mond")]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "monday").touch()
        offered = dict(zip(lines + files, completed(Path(folder), lines + files)))
    equal(offered[("",)], set(nouns), "nouns")
    equal(offered[("sea",)], {"search"}, "a noun that was begun")
    equal(offered[("search", "create", "x", "--max-l")], {"--max-latency"}, "an option that was begun")
    for noun in with_verbs:
        equal(offered[(noun, "")], {verb for name, verb in commands if name == noun and verb}, f"verbs of {noun}")
    for noun, verb in commands:
        equal(offered[(noun, verb, "--") if verb else (noun, "--")], options_of(noun, verb), f"options of {noun} {verb}")
    for front in fronts:
        equal(offered[(*front, "")], set(nouns), f"nouns behind {front}")
        equal(offered[(*front, "sea")], {"search"}, f"a noun that was begun behind {front}")
        equal(offered[(*front, "search", "")], offered[("search", "")], f"verbs behind {front}")
        equal(offered[(*front, "search", "create", "x", "--max-l")], {"--max-latency"}, f"an option that was begun, of a command behind {front}")
        equal(offered[(*front, "status", "--")], options_of("status", ""), f"options of a command without verbs behind {front}")
        equal(offered[(*front, "--")], options_of("space", "ls"), f"what may stand behind {front} in front of a command: options that all have")
    return [offered[line] for line in files]


@test("bash completes nouns, verbs and options, and all that --help names", 120)
def bash():
    script = script_for("bash")

    def completed(_folder, lines):
        asked = ""
        for line in lines:
            words = [part for word in line for part in re.split("(=)", word)]  # as bash parts them
            asked += "COMP_WORDS=(" + " ".join(f"'{word}'" for word in ("espalier", *words)) + f"); COMP_CWORD={len(words)}; _espalier; echo \"${{COMPREPLY[*]}}\"\n"
        done = subprocess.run(["bash", "-u", "-c", script + asked], capture_output=True, text=True, timeout=20)
        equal((done.returncode, done.stderr), (0, ""), "bash")
        return [set(line.split()) for line in done.stdout.splitlines()]
    equal(check_offers(completed), [set()] * 4, "what is left to bash, which offers files then")
    equal(bed.daemon().cli_run("completion", "csh").returncode, 2, "exit code for another shell")


def ask_zsh(script, folder, lines):
    """What compsys offers in a zsh on a terminal of its own. script: the file to source, or a folder for fpath."""
    (folder / "lines").write_text("".join(" ".join(("espalier", *words)) + ".\n" for words in lines))
    done = subprocess.run(["zsh", "-f", ASK_ZSH, script, folder / "lines", folder / "offers"], cwd=folder, capture_output=True, text=True, timeout=100)
    equal(done.returncode, 0, "zsh")
    told = (folder / "offers").read_text().split("= ")[1:]
    equal(len(told), len(lines), "lines that zsh has completed: " + done.stdout)
    return [set(filter(None, text.splitlines()[1:])) for text in told]


@test("zsh completes the same, read by source or found in a folder of fpath", 120)
def zsh():
    script = script_for("zsh")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "_espalier").write_text(script)
        equal(check_offers(lambda place, lines: ask_zsh(folder / "_espalier", place, lines)), [{"monday"}] * 4, "files")
        equal(ask_zsh(folder, folder, [("sea",), ("search", "cr")]), [{"search"}, {"create"}], "found in fpath")


@test("fish completes the same", 120)
def fish():
    script = script_for("fish")

    def completed(folder, lines):
        asked = "".join(f"echo '= '\ncomplete -C 'espalier {' '.join(words)}'\n" for words in lines)
        (folder / "ask.fish").write_text(script + asked)
        done = subprocess.run(["fish", "--no-config", "ask.fish"], cwd=folder, capture_output=True, text=True, timeout=100)
        equal((done.returncode, done.stderr), (0, ""), "fish")
        return [{line.split("\t")[0] for line in text.splitlines() if line.strip()} for text in done.stdout.split("= \n")[1:]]
    equal(check_offers(completed), [{"monday"}] * 4, "files")
