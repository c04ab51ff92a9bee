"""What runs inside the sandbox: bubblewrap's command line, the filter of system calls, the runner; imports only stdlib.

The runner shares an interpreter with the program, so nothing it says proves an end: the program can say it too.
`FRAME` is code whose callees are constants and which has no line numbers, so that the program can neither swap what it
calls nor jump in it. It reads from the control socket before the program and again after it, and `pool.py`
compares, from outside, where the kernel shows it blocked: system call, stack pointer, and every byte of the stack
above. Whatever the program calls sits deeper on that stack.
"""

from __future__ import annotations

import platform
import struct
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

INTERPRETER = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
LIBRARY = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))

FRAME = """
"write"("control", b"ready")
"read"("control", 1)
try:
    "exec"("program", "namespace")
    "exec"("settle", "own")
except:
    try:
        "exec"("report", "own")
    except:
        "exit"(1)
    "exit"(1)
"write"("control", b"ended")
"read"("control", 1)
"exit"(1)
"""
"""Compiled once in the child; its string constants are then replaced by what they name."""

SETTLE = """
import builtins, sys
if "threading" in sys.modules:
    sys.modules["threading"]._shutdown()
for name, value in before.items():
    if vars(builtins).get(name) is not value:
        raise RuntimeError(f"builtins.{name} was replaced")
"""
"""What the interpreter does when a main module ends: wait for its threads. Then: is `abs` still `abs`?"""

REPORT = """
import sys
error = sys.exc_info()[1]
step, line = error.__traceback__, 0
while step is not None:
    line = step.tb_lineno if step.tb_frame.f_code.co_filename == "<program>" else line
    step = step.tb_next
if isinstance(error, SyntaxError) and error.filename == "<program>":
    line = error.lineno or 0
own["write"](own["control"], f"E{type(error).__name__}\\n{line}\\n{str(error)[:300]}".encode("utf-8", "replace"))
"""
"""Tells what ended the program; believed only as text."""

RUNNER = """
import _thread, builtins, posix, resource, sys
control = posix.dup(0)
posix.dup2(posix.open("/dev/null", posix.O_RDONLY), 0)
posix.write(control, b"up")

def receive(size):
    parts = b""
    while len(parts) < size and (part := posix.read(control, size - len(parts))):
        parts += part
    return parts

uid, memory, cpu, tasks, file_size, files, size = (int(field) for field in receive(112).split())
if uid:
    posix.setgroups([])
    posix.setresgid(uid, uid, uid)
    posix.setresuid(uid, uid, uid)
for limit, value in (("AS", memory), ("CPU", cpu), ("NPROC", tasks), ("FSIZE", file_size), ("NOFILE", files),
                     ("CORE", 0), ("MEMLOCK", 0), ("MSGQUEUE", 0)):
    resource.setrlimit(getattr(resource, "RLIMIT_" + limit), (value, value))
for name in list(posix.environ):
    posix.unsetenv(name)
posix.environ.clear()
sys.argv[:] = [""]

started = _thread.allocate_lock()  # from its first thread on, a process takes another way through the C library's read
started.acquire()
_thread.start_new_thread(started.release, ())
started.acquire()

def make_frame(program, own):
    import _warnings
    _warnings.filters.insert(0, ("ignore", None, SyntaxWarning, None, 0))
    frame = compile(FRAME, "<sandbox>", "exec")
    del _warnings.filters[0]
    module = type(sys)("__main__")
    module.__builtins__ = builtins
    own["main"], sys.modules["__main__"] = sys.modules["__main__"], module
    named = {"write": posix.write, "read": posix.read, "exec": exec, "exit": posix._exit, "control": control,
             "program": program, "namespace": module.__dict__, "own": own,
             "settle": compile(SETTLE, "<sandbox>", "exec"), "report": compile(REPORT, "<sandbox>", "exec")}
    units = len(frame.co_code) // 2
    no_lines = b"\\xff" * (units // 8) + (bytes([0xF8 | (units % 8 - 1)]) if units % 8 else b"")
    consts = tuple(named.get(const, const) if type(const) is str else const for const in frame.co_consts)
    return frame.replace(co_consts=consts, co_linetable=no_lines)

def make_guard(write, leave, control):
    events, modules, extensions = frozenset(EVENTS), frozenset(MODULES), EXTENSIONS
    def is_foreign(name, path):
        if type(name) is not str or name.rpartition(".")[2] in modules:
            return True
        return path is not None and (type(path) is not str or path.rpartition("/")[0] != extensions)
    def guard(event, args):
        if is_foreign(*args[:2]) if event == "import" else event in events or event[:7] == "ctypes.":
            try:
                write(control, f"EPermissionError\\n0\\n{event} {args[:1]} is not allowed here".encode())
            finally:
                leave(1)
    return guard

def main():
    own = {"before": dict(vars(builtins)), "write": posix.write, "control": control}
    own["own"] = own
    source = receive(size)
    try:
        program = compile(source.decode("utf-8", "surrogatepass"), "<program>", "exec", dont_inherit=True)
        frame = make_frame(program, own)
    except BaseException:
        exec(REPORT, own)
        posix._exit(1)
    sys.addaudithook(make_guard(posix.write, posix._exit, control))
    exec(frame, {"__builtins__": builtins})

main()
"""

DENIED_EVENTS = (
    "sys.settrace",  # tracing can jump over the line that checks
    "sys.setprofile",
    "sys.monitoring.register_callback",
    "sys._current_frames",
    "gc.get_objects",
    "gc.get_referrers",
    "os.exec",
    "sqlite3.enable_load_extension",
)
_TEST_MODULES = ("_testcapi", "_testinternalcapi", "_testlimitedcapi")
DENIED_MODULES = ("ctypes", "_ctypes", "_xxsubinterpreters", "_interpreters", *_TEST_MODULES)
"""Machine code could write its own stack: no way to it from Python that we know of is left open."""

_CLONE_THREAD = 0x10000
# fork, vfork (x86_64), ptrace, unshare, setns, process_vm_readv and writev, userfaultfd, bpf, perf_event_open, keyctl,
# add_key, request_key, io_uring_setup, mount, umount2, pivot_root, open_by_handle_at, personality, and memory that
# RLIMIT_AS does not see: memfd_create, shmget.
_X86_64 = (57, 58, 101, 272, 308, 310, 311, 323, 321, 298, 250, 248, 249, 425, 165, 166, 155, 304, 135, 319, 29)
_AARCH64 = (117, 97, 268, 270, 271, 282, 280, 241, 219, 217, 218, 425, 40, 39, 41, 265, 92, 279, 194)
MACHINES = {"x86_64": (0xC000003E, 56, 435, _X86_64), "aarch64": (0xC00000B7, 220, 435, _AARCH64)}
"""Its audit number, clone, clone3, and the system calls that are denied."""
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x50026
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000


def read_number() -> int:
    """The number of the system call `read`."""
    return {"x86_64": 0, "aarch64": 63}[platform.machine()]


def syscall_filter() -> bytes:
    """Return the BPF program: one process with threads, no new namespaces, no looking into other processes."""
    arch, clone, clone3, denied = MACHINES[platform.machine()]
    lines = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _EPERM),
        (_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ENOSYS),  # its flags are in memory, which a filter cannot read: glibc falls back to clone
    ]
    for number in denied:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    lines += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 1, 0, _CLONE_THREAD)]
    lines += [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def command(bwrap: str, filter_fd: int, *, drops_root: bool, tmp_bytes: int) -> list[str]:
    """Return the command line that starts the runner in a sandbox.

    Args:
        bwrap: path of bubblewrap.
        filter_fd: an inherited descriptor that holds `syscall_filter()`.
        drops_root: started by a root that owns more than one uid: bubblewrap then mounts as root, so that an
            interpreter below a 0700 directory can be bound, and the runner leaves root before it reads the program.
            Otherwise a user namespace is made.
        tmp_bytes: size of /tmp, the only place that can be written.
    """
    spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    rights = ["--cap-drop", "ALL"]
    if drops_root:
        rights += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        spaces = ["--unshare-all", "--uid", "65534", "--gid", "65534"]
    constants = {"FRAME": FRAME, "SETTLE": SETTLE, "REPORT": REPORT, "EVENTS": DENIED_EVENTS, "MODULES": DENIED_MODULES}
    constants["EXTENSIONS"] = str(LIBRARY / "lib-dynload")
    source = "".join(f"{name} = {value!r}\n" for name, value in constants.items()) + RUNNER
    python = [str(INTERPRETER), "-I", "-S", "-E", "-B", "-X", "utf8", "-c", source]
    return [
        *(bwrap, *spaces, "--hostname", "sandbox", "--die-with-parent", "--new-session", *rights, "--clearenv"),
        *_system(),
        *("--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"),  # noqa: S108 (inside the sandbox)
        *(
            part
            for device in ("null", "zero", "urandom")
            for part in ("--dev-bind", f"/dev/{device}", f"/dev/{device}")
        ),
        *("--remount-ro", "/", "--seccomp", str(filter_fd), "--", *python),
    ]


def _system() -> list[str]:
    """Arguments that bind the interpreter, its standard library and the shared libraries, read-only, and no more."""
    wanted = [INTERPRETER, LIBRARY, *_shared_libraries()]
    parents = sorted({parent for path in wanted for parent in path.parents} - {Path("/")})
    arguments = [part for parent in parents for part in ("--perms", "0755", "--dir", str(parent))]
    for path in wanted:
        arguments += ["--ro-bind", str(path), str(path)]
    packages = LIBRARY / "site-packages"
    if packages.is_dir():
        arguments += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    return arguments


def _shared_libraries() -> Iterator[Path]:
    """The system's library directories, and libpython where it lies elsewhere."""
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    multiarch = [f"/usr/lib/{triplet}", f"/lib/{triplet}"] if triplet else []
    yield from filter(Path.is_dir, map(Path, [*multiarch, "/usr/lib64", "/lib64", "/usr/share/zoneinfo"]))
    shared = Path(str(sysconfig.get_config_var("LIBDIR")), str(sysconfig.get_config_var("INSTSONAME")))
    if shared.is_file() and shared.suffix != ".a" and not str(shared.resolve()).startswith(("/usr/lib", "/lib")):
        yield shared
