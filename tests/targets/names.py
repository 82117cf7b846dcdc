# SPDX-License-Identifier: Apache-2.0
"""Names made to break what prints them: control characters, escapes of terminals, quotes, markup, not UTF-8, very long."""
import sys
import threading

import common

NAMES = ["evil\x1b[31mred", "new\nline", "tab\tquote\"'`", "</script><b>", "=cmd|' /C calc'!A0", "\u202egnp.exe", "caf\xe9 \u20ac \U0001f600",
         "nul\\0", "\x7f\x80\x9b31m", "x" * 5000, "", "a.b.c", "%s%n%x", "\udc80surrogate"]


def run():
    keep = []
    for n, name in enumerate(NAMES):
        try:
            kind = type(name, (), {"__module__": "hostile\x1b]0;title\x07"})
        except (ValueError, UnicodeError):
            continue
        keep += [kind() for _ in range(100 + n)]
    gate = threading.Lock()
    gate.acquire()
    scope = {"gate": gate}
    code = compile("def f():\n    gate.acquire()\n", "/tmp/\x1b[2Jevil\nfile.py", "exec")
    exec(code, scope)
    function = scope["f"]
    name = "f\x1b[31m\n</script>"
    names = {"co_name": name, "co_qualname": name} if sys.version_info >= (3, 11) else {"co_name": name}
    function.__code__ = function.__code__.replace(**names)
    threading.Thread(target=function, name="thread\x1b[31m", daemon=True).start()
    common.ready()
    common.serve()
    common.say("kept", len(keep))


sys.argv[0] = "x"
common.main(run)
