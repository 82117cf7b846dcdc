# SPDX-License-Identifier: Apache-2.0
"""The text exposition format of Prometheus, version 0.0.4, read strictly: what promtool would complain about is an error."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


def number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text.replace("Inf", "inf"))
    assert re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text), f"no number: {text!r}"
    return float(text)


def labels(text):
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f"no label: {text[at:]!r}"
        assert m[1] not in found, f"twice: {m[1]}"
        found[m[1]] = re.sub(r"\\(.)", lambda e: {"n": "\n"}.get(e[1], e[1]), m[2])
        at = m.end()
        if at < len(text):
            assert text[at] == ",", text
            at += 1
    return found


def parse(page):
    """{(name, ((label, value), ...)): number}"""
    assert page.endswith("\n") and "\r" not in page
    types, helps, values, family, done = {}, {}, {}, None, set()
    for line in page[:-1].split("\n"):
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE") and NAME.fullmatch(name), line
            if name != family:
                assert name not in done, f"{name} stands in two places"
                done.add(name)
                family = name
            kept = helps if word == "HELP" else types
            assert name not in kept, f"twice: {line}"
            assert word == "HELP" or rest in TYPES, line
            kept[name] = rest
            continue
        m = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? ([^ ]+)", line)
        assert m and NAME.fullmatch(m[1]), f"no sample: {line!r}"
        base = re.sub(r"_(bucket|sum|count)$", "", m[1]) if types.get(family) == "histogram" else m[1]
        assert base == family and family in types and family in helps, f"not below its HELP and TYPE: {line}"
        if types[family] == "counter":
            assert m[1].endswith("_total"), line
        key = m[1], tuple(sorted(labels(m[2] or "").items()))
        assert key not in values, f"twice: {line}"
        values[key] = number(m[3])
        assert types[family] == "gauge" or values[key] >= 0, line
    for name in (n for n, kind in types.items() if kind == "histogram"):
        check_histogram(name, values)
    return values


def check_histogram(name, values):
    buckets = sorted((number(dict(key[1])["le"]), v) for key, v in values.items() if key[0] == name + "_bucket")
    assert buckets and math.isinf(buckets[-1][0]), f"{name} has no bucket +Inf"
    assert [v for _, v in buckets] == sorted(v for _, v in buckets), f"the buckets of {name} do not rise"
    assert values[name + "_count", ()] == buckets[-1][1] and (name + "_sum", ()) in values
