"""The package runs where there is no POSIX: every module is imported without what Windows lacks, and none calls it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import s1_hf

ROOT = Path(s1_hf.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
MODULES = [".".join(("s1_hf", *Path(file).with_suffix("").parts)).removesuffix(".__init__") for file in FILES]

# By Python's documentation, "Availability: Unix" or "not Windows".
NO_MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
NO_NAMES = {
    "os": {
        "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "WNOHANG", "chown", "chroot", "confstr",
        "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp",
        "getpriority", "getresuid", "getsid", "getuid", "initgroups", "killpg", "lchown", "lockf", "major", "makedev",
        "minor", "mkfifo", "mknod", "nice", "openpty", "pathconf", "posix_fadvise", "posix_fallocate", "posix_spawn",
        "pread", "preadv", "pwrite", "pwritev", "readv", "register_at_fork", "sched_getaffinity", "sched_setaffinity",
        "sched_yield", "sendfile", "setgid", "setpgid", "setpriority", "setsid", "setuid", "statvfs", "sync", "sysconf",
        "tcgetpgrp", "uname", "wait", "wait3", "wait4", "waitid", "writev",
    },
    "signal": {
        "ITIMER_REAL", "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP",
        "SIGUSR1", "SIGUSR2", "SIG_BLOCK", "alarm", "getitimer", "pause", "pthread_kill", "pthread_sigmask",
        "setitimer", "siginterrupt", "sigwait",
    },
    "subprocess": {"pass_fds", "preexec_fn", "process_group", "start_new_session"},  # arguments
}  # fmt: skip
# Where each use asks first whether it is there.
GUARDED = {
    ("grading/worker.py", "os.register_at_fork"),
    ("grading/worker.py", "resource"),
    ("memory/machine_file.py", "os.sysconf"),
}

HIDE = f"""
for name in {NO_MODULES!r}:
    sys.modules[name] = None
for module, names in {NO_NAMES!r}.items():
    for name in names:
        vars(importlib.import_module(module)).pop(name, None)
"""
START = "import importlib, os, signal, sys, traceback\n"


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", START + code, *arguments], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_every_module_is_imported_without_what_windows_lacks():
    """Everything is imported twice, so that libraries, which ask for the system, have taken what they need."""
    code = """
def load(names):
    loaded = set()
    for name in names:
        try:
            importlib.import_module(name)
            loaded.add(name)
        except ModuleNotFoundError:  # of an extra that is not installed, the first time
            error = traceback.format_exc()
            hidden and print(name, error)
        except Exception:
            print(name, traceback.format_exc())
    return loaded

hidden = False
loaded = load(sys.argv[1:])
for name in [name for name in sys.modules if name.partition(".")[0] == "s1_hf"]:
    del sys.modules[name]
hidden = True
"""
    code += HIDE + "again = load(loaded)\nprint(len(again) if again == loaded else loaded - again)"
    said = run(code, *MODULES)
    assert said.strip().isdigit() and int(said) > 60, said


@pytest.mark.parametrize("statement", ["import fcntl", "from os import fork", "signal.SIGKILL", "os.register_at_fork"])
def test_the_check_above_sees_what_windows_lacks(statement):
    assert "Error" in run(HIDE + statement)


@pytest.mark.parametrize("file", FILES)
def test_what_windows_lacks_is_used_only_where_it_is_asked_for_first(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert {(file, name) for name in posix_names(tree)} == {use for use in GUARDED if use[0] == file}


def test_the_check_above_sees_every_kind_of_use():
    code = "import pwd, fcntl\nfrom resource import x\nfrom os import fork\nos.killpg(g(preexec_fn=signal.SIGKILL))"
    assert posix_names(ast.parse(code)) == {
        "pwd", "fcntl", "resource", "os.fork", "os.killpg", "signal.SIGKILL", "subprocess.preexec_fn",
    }  # fmt: skip


def posix_names(tree: ast.AST) -> set[str]:
    """The modules, and the names of modules, that Windows lacks."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "", name) for name in ("", *(alias.name for alias in node.names))}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add((node.value.id, node.attr))
        elif isinstance(node, ast.keyword):
            found.add(("subprocess", node.arg or ""))
    modules = {module for module, name in found if module in NO_MODULES and not name}
    return modules | {f"{module}.{name}" for module, name in found if name in NO_NAMES.get(module, ())}
