# SPDX-License-Identifier: Apache-2.0
"""memattach report --html: one file that a browser shows by itself, whatever strings the program had."""
import json
import os
import shutil
import stat
import subprocess

import readers
from memattach import check_error

OPEN = """
import json, sys
from playwright.sync_api import sync_playwright
page_path, chromium, shots = sys.argv[1:]
said = {"errors": [], "requests": []}
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda e: said["errors"].append(str(e)))
    page.on("console", lambda m: said["errors"].append(m.text))
    page.on("request", lambda r: said["requests"].append(r.url))
    page.goto("file://" + page_path)
"""
LOOK = OPEN + """
    said["overview"] = page.inner_text("body")
    page.screenshot(path=shots + "/overview.png")
    page.click("#tab-graph")
    page.wait_for_selector("#flame svg g.frame")
    said["boxes"] = page.evaluate("[...document.querySelectorAll('#flame g.frame title')].map(t => t.textContent)")
    page.screenshot(path=shots + "/graph.png")
    page.fill("#term", "session")
    page.press("#term", "Enter")
    said["found"] = page.inner_text("#found")
    page.click("#tab-types")
    row = "document.querySelector('#types tbody tr').innerText"
    said["by_bytes"] = page.evaluate(row)
    page.click("#types th button >> text=Count")
    said["by_count"] = page.evaluate(row)
    page.click("#types th button >> text=Type")
    said["by_type"] = page.evaluate(row)
    page.fill("#types input", "odd;")
    said["odd"] = page.inner_text("#types tbody")
    page.keyboard.press("Tab")
    page.click("#tab-threads")
    page.keyboard.press("ArrowLeft")
    said["left"] = page.inner_text("nav button[aria-selected=true]")
    said["broken"] = page.evaluate("window.broken === 1")
    said["scripts"] = page.evaluate("document.scripts.length")
    browser.close()
print(json.dumps(said))
"""


def test_report_in_a_browser(exported, memattach, one_python):
    python, chromium = readers.browser(one_python)
    html = memattach.folder / "report.html"
    done = memattach.run("report", exported, "--html", html)
    assert done.rc == 0 and str(html) in done.out, done
    looked = subprocess.run([python, "-c", LOOK, html, chromium, memattach.folder], capture_output=True, text=True, timeout=180)
    assert looked.returncode == 0, looked.stderr
    said = json.loads(looked.stdout)
    assert said["errors"] == [] and said["requests"] == [f"file://{html}"], "it loads nothing and breaks nowhere"
    assert not said["broken"] and said["scripts"] == 3
    assert "Python objects" in said["overview"] and "__main__.cache.sessions" in said["overview"]
    assert any("[] __main__.Session" in b for b in said["boxes"]), said["boxes"]
    assert "found" in said["found"] and not said["found"].startswith("0")
    assert said["by_bytes"].startswith("str\t") and said["by_count"].startswith("str\t")
    assert said["by_type"] != said["by_bytes"]
    assert r"</script> \u{202e}\u{7}=1" in said["odd"]
    assert "\u202e" not in said["odd"] + said["overview"]
    assert said["left"] == "Holders"


LOOK_AT_DIFF = OPEN + """
    said["selected"] = page.inner_text("nav button[aria-selected=true]")
    said["diff"] = page.inner_text("#diff")
    said["first"] = page.inner_text("#diff ol.points li >> nth=0")
    page.screenshot(path=shots + "/diff.png")
    table = "[...document.querySelectorAll('#diff table')].map(t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText)))"
    said["tables"] = page.evaluate(table)
    page.click("#tab-overview")
    said["series"] = page.inner_text("#series")
    said["title"] = page.evaluate("document.querySelector('#series svg title').textContent")
    said["dots"] = page.evaluate("[...document.querySelectorAll('#series circle.rss')].map(c => [+c.getAttribute('cx'), +c.getAttribute('cy'), +c.getAttribute('r')])")
    page.screenshot(path=shots + "/series.png", full_page=True)
    browser.close()
print(json.dumps(said))
"""


def test_diff_and_series_in_a_browser(memattach, start, one_python):
    python, chromium = readers.browser(one_python)
    target = start(one_python, "leaks", "dict")
    paths = []
    for _ in range(3):
        done = memattach.run("snap", target.pid)
        assert done.rc == 0, done
        paths.append(done.out.split()[0])
        target.ask("work 3000", "worked")
    target.end_well()
    html = memattach.folder / "diff.html"
    done = memattach.run("diff", paths[0], paths[2], "--html", html, "--fail-growth", "__main__.results")
    assert done.rc == 7 and str(html) in done.out, "the file is there, and then the limit speaks"
    looked = subprocess.run([python, "-c", LOOK_AT_DIFF, html, chromium, memattach.folder], capture_output=True, text=True, timeout=180)
    assert looked.returncode == 0, looked.stderr
    said = json.loads(looked.stdout)
    assert said["errors"] == [] and said["requests"] == [f"file://{html}"]
    assert said["selected"] == "What grew" and "__main__.results" in said["first"], said["first"]
    want = memattach.diff(paths[0], paths[2])
    memory, modules, types = said["tables"]
    assert memory[0][0] == "resident" and len(memory) == 1 + sum(bool(m["old_bytes"] or m["new_bytes"]) for m in want["memory"])
    assert modules[0][0] == "__main__" and modules[0][3].startswith("+")
    assert types[0][0] == want["types"][0]["type"] and types[0][4].startswith("+")
    assert len(types) == sum(t["old_count"] != t["new_count"] or t["old_bytes"] != t["new_bytes"] for t in want["types"])
    # the snapshot between the two is in the catalogue, so it is in the curve, which rises, and ends at this one
    assert "3 snapshots of this process" in said["series"] and len(said["dots"]) == 3
    assert [x for x, _, _ in said["dots"]] == sorted(x for x, _, _ in said["dots"])
    assert said["dots"][0][1] > said["dots"][2][1] and [r for _, _, r in said["dots"]].index(5) == 2, said["dots"]
    assert memattach.run("report", paths[1], "--html", memattach.folder / "one.html").rc == 0
    data = json.loads((memattach.folder / "one.html").read_text().split('id="data">')[1].split("</script>")[0])
    assert data["diff"] is None and len(data["series"]) == 3
    rows = json.loads(memattach.run("ls", "--json").out)
    assert [(p["taken_at"], p["rss"], p["bytes"]) for p in data["series"]] == [(r["taken_at"], r["rss_bytes"], r["bytes"]) for r in rows]


LOOK_AT_SITES = """
import json, sys
from playwright.sync_api import sync_playwright
page_path, chromium, shots = sys.argv[1:]
said = {"errors": []}
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda e: said["errors"].append(str(e)))
    page.on("console", lambda m: said["errors"].append(m.text))
    page.goto("file://" + page_path)
    said["diff"] = page.inner_text("#diff")
    page.click("#tab-overview")
    said["suspects"] = page.inner_text("#suspects")
    page.click("#tab-sites")
    said["note"] = page.inner_text("#sites p.note >> nth=0")
    said["first"] = page.evaluate("[...document.querySelector('#sites tbody tr').cells].map(c => c.innerText)")
    page.screenshot(path=shots + "/sites.png")
    browser.close()
print(json.dumps(said))
"""


def test_lines_that_allocated_in_a_browser(memattach, start, one_python):
    python, chromium = readers.browser(one_python)
    target = start(one_python, "sites", 1)
    old = memattach.snap(target.pid)
    target.ask("grow", "grown")
    new = memattach.snap(target.pid)
    target.end_well()
    html = memattach.folder / "sites.html"
    assert memattach.run("diff", old, new, "--html", html).rc == 0
    looked = subprocess.run([python, "-c", LOOK_AT_SITES, html, chromium, memattach.folder], capture_output=True, text=True, timeout=180)
    assert looked.returncode == 0, looked.stderr
    said = json.loads(looked.stdout)
    assert said["errors"] == []
    first = json.loads(memattach.run("report", new, "--json").out)["sites"][0]
    assert said["first"][:2] == [f"{first['file']}:{first['line']}", f"{first['count']:,}"], said["first"]
    assert f"{first['types'][0]['count']:,} {first['types'][0]['type']}" in said["first"][4]
    assert "known to tracemalloc" in said["note"] and "of it allocated at " in said["suspects"]
    grown = memattach.diff(old, new)["sites"][0]
    assert said["diff"].count(f"{grown['file']}:{grown['line']}") == 2, "its growth point, and the table of lines"


def test_page_has_no_way_out(exported, memattach):
    html = memattach.folder / "report.html"
    assert memattach.run("report", exported, "--html", html).rc == 0
    text = html.read_text(encoding="utf-8")
    assert stat.S_IMODE(os.stat(html).st_mode) == 0o600
    assert text.count("</script") == 3, "of its own three scripts"
    data = text.split('id="data">')[1].split("</script>")[0]
    assert "<" not in data
    whole = json.loads(data)
    assert whole["paths"]["bytes"] == whole["report"]["bytes"]
    assert "default-src 'none'" in text and "http://" not in text.split("<script>")[0] and "src=" not in text.split("<script>")[0]


def test_refusals(exported, memattach):
    check_error(memattach.run("report", exported, "--html", exported), 2, "snapshot itself")
    check_error(memattach.run("report", exported, "--html", "x.html", "--json"), 2, "--html")
    copy = memattach.folder / "copy.mas"
    shutil.copy(exported, copy)
    for snapshot in (exported, copy):
        check_error(memattach.run("diff", exported, copy, "--html", snapshot), 2, "snapshot itself")
    assert "replaced the file" not in memattach.run("report", exported, "--html", memattach.folder / "x.html").out
    assert "replaced the file" in memattach.run("report", exported, "--html", memattach.folder / "x.html").out
