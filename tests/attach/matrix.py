# SPDX-License-Identifier: Apache-2.0
"""What the tests ran, and docs/support-matrix.md, which tools/support-matrix makes of it.

A test calls interpreter() or way() when it has passed. Each compares the document with what just happened and fails
when the document says something else; with MEMATTACH_SUPPORT=FILE each appends a line of JSON to that file instead,
for tools/support-matrix."""
import json
import os
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "support-matrix.md"
BEGIN = "<!-- from here: made by tools/support-matrix of what the tests ran -->"
END = "<!-- to here -->"
INTERPRETERS = ("CPython", "build", "layouts from", "result")
WAYS = ("way", "with", "result")
OLD = "*"  # after a name: not in the run that made the document


def version_key(name):
    """3.9 before 3.10, whatever stands around the numbers."""
    words = "".join(c if c.isdigit() else " " for c in name).split()
    return [int(w) for w in words], name


class Matrix:
    """interpreters: {(version, build): (layouts, result, old)}; ways: {way: {python's id: (result, old)}}."""

    def __init__(self):
        self.interpreters, self.ways = {}, {}

    def add(self, row):
        if row["table"] == "interpreter":
            self.interpreters[row["version"], row["build"]] = (row["layouts"], row["result"], False)
        else:
            self.ways.setdefault(row["way"], {})[row["python"]] = (row["result"], False)

    def contradiction(self, row):
        """What the document says in place of `row`, None when it says the same or nothing."""
        if row["table"] == "interpreter":
            said = self.interpreters.get((row["version"], row["build"]))
            return said[:2] if said and said[:2] != (row["layouts"], row["result"]) else None
        said = self.ways.get(row["way"], {}).get(row["python"])
        return said[0] if said and said[0] != row["result"] else None

    def age(self):
        """Everything in it is of an earlier run."""
        self.interpreters = {k: (*v[:2], True) for k, v in self.interpreters.items()}
        self.ways = {way: {p: (v[0], True) for p, v in of.items()} for way, of in self.ways.items()}

    def render(self):
        lines = ["", *table(INTERPRETERS)]
        for (version, build), (layouts, result, old) in sorted(self.interpreters.items(), key=lambda i: (version_key(i[0][0]), i[0])):
            lines.append(cells(version + OLD * old, build, layouts, result))
        lines += ["", *table(WAYS)]
        for way, of in sorted(self.ways.items()):
            for result in sorted({v[0] for v in of.values()}):
                names = sorted((p for p in of if of[p][0] == result), key=version_key)
                lines.append(cells(way, ", ".join(p + OLD * of[p][1] for p in names), result))
        if any(line.count(OLD) for line in lines):
            lines += ["", f"`{OLD}` not in the last run: the machine that made this document could not run it."]
        return "\n".join(lines) + "\n\n"


def cells(*texts):
    return "| " + " | ".join(t.replace("|", "\\|") for t in texts) + " |"


def table(names):
    return [cells(*names), "|" + "---|" * len(names)]


def parse(text):
    """The Matrix in the text of the document; ValueError for anything that render() does not write."""
    m, rows = Matrix(), None
    for number, line in enumerate(text.partition(BEGIN)[2].partition(END)[0].splitlines(), 1):
        if not line.startswith("|"):
            continue
        fields = tuple(c.strip() for c in line.strip("|").split("|"))
        if fields in (INTERPRETERS, WAYS):
            rows = fields
        elif set(line) <= set("|-"):
            pass
        elif rows and len(fields) == len(rows):
            if rows == INTERPRETERS:
                version, build, layouts, result = fields
                m.interpreters[version.rstrip(OLD), build] = (layouts, result, version.endswith(OLD))
            else:
                for p in fields[1].split(", "):
                    m.ways.setdefault(fields[0], {})[p.rstrip(OLD)] = (fields[2], p.endswith(OLD))
        else:
            raise ValueError(f"line {number} of the made part is no row: {line}")
    return m


def record(row):
    path = os.environ.get("MEMATTACH_SUPPORT")
    if path:
        with open(path, "a") as f:
            f.write(json.dumps(row, sort_keys=True) + "\n")
        return
    said = parse(DOCUMENT.read_text()).contradiction(row)
    assert not said, f"docs/support-matrix.md says {said!r}, and what ran is {row}: run tools/support-matrix"


def interpreter(version, build, layouts, result="works"):
    record({"table": "interpreter", "version": version, "build": build, "layouts": layouts, "result": result})


def way(text, python, result="works"):
    record({"table": "way", "way": text, "python": python.id, "result": result})
