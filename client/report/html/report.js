// SPDX-License-Identifier: Apache-2.0
// Draws the report from the JSON in the page. Strings of the target reach the page as text nodes only.
"use strict";
(() => {
	const data = JSON.parse(document.getElementById("data").textContent);
	const report = data.report;
	const byId = (id) => document.getElementById(id);

	// Controls, marks that change the direction of text and what does not show become \u{...}.
	const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;
	const show = (text) => String(text).replace(HIDDEN, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");

	const make = (tag, text, name) => {
		const e = document.createElement(tag);
		if (text !== undefined) e.textContent = show(text);
		if (name) e.className = name;
		return e;
	};
	const count = (n) => n.toLocaleString("en-US");
	const bytes = (n) => {
		if (n < 1000) return n + " B";
		const units = ["kB", "MB", "GB", "TB"];
		let i = -1;
		for (; n >= 999.5 && i < units.length - 1; i++) n /= 1000;
		return n.toPrecision(n < 99.95 ? 3 : Math.max(3, Math.round(n).toString().length)) + " " + units[i];
	};
	const duration = (ns) => (ns < 1e6 ? (ns / 1e3).toPrecision(2) + " us" : ns < 1e9 ? (ns / 1e6).toPrecision(3) + " ms" : (ns / 1e9).toPrecision(3) + " s");
	const signed = (n, text = bytes) => (n > 0 ? "+" : n < 0 ? "-" : "") + text(Math.abs(n));
	const percent = (part, whole) => {
		const p = whole ? (100 * part) / whole : 0;
		return (p > 0 && p < 0.5 ? "<1" : Math.round(p)) + " %";
	};

	// columns: { title, number, value(row), text(row) }
	const table = (into, rows, columns, options = {}) => {
		const t = into.tagName === "TABLE" ? into : into.appendChild(make("table"));
		let by = options.by || 0, down = true, wanted = "";
		const body = make("tbody"), more = make("p", undefined, "note"), LIMIT = 500;
		const draw = () => {
			const value = columns[by].value;
			const shown = rows.filter((r) => !wanted || columns.some((c) => !c.number && String(c.value(r)).toLowerCase().includes(wanted)));
			shown.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
			body.replaceChildren();
			for (const row of shown.slice(0, LIMIT)) {
				const tr = body.appendChild(make("tr"));
				for (const c of columns) tr.append(make("td", c.text ? c.text(row) : c.value(row), c.number ? "number" : c.name));
			}
			more.textContent = shown.length > LIMIT ? `${count(shown.length - LIMIT)} more: search for them` : "";
		};
		const head = make("thead").appendChild(make("tr"));
		columns.forEach((c, i) => {
			const th = head.appendChild(make("th", undefined, c.number ? "number" : undefined));
			th.scope = "col";
			const button = th.appendChild(make("button", c.title));
			button.type = "button";
			button.addEventListener("click", () => {
				down = by === i ? !down : Boolean(c.number);
				by = i;
				for (const other of head.children) other.removeAttribute("aria-sort");
				th.setAttribute("aria-sort", down ? "descending" : "ascending");
				draw();
			});
		});
		if (options.search) {
			const label = make("label", "Search "), input = label.appendChild(make("input"));
			input.type = "search";
			input.addEventListener("input", () => {
				wanted = input.value.toLowerCase();
				draw();
			});
			t.before(label);
		}
		t.append(head.parentNode, body);
		t.after(more);
		draw();
	};

	const header = () => {
		document.title = show("memattach: " + report.command);
		byId("command").textContent = show(report.command);
		byId("process").textContent = show(`pid ${report.pid}   CPython ${report.python}   ${report.host}   ${report.taken_at}   ${report.source === "core" ? "from a core file" : "stopped " + duration(report.pause_ns)}`);
		const trust = [];
		if (!report.complete) trust.push("the file is not whole");
		if (report.refcount_excess) trust.push(`${count(report.refcount_excess)} references too many: do not rely on this`);
		if (report.consistency === "arbitrary") trust.push("the copy was not at a safe point");
		const line = byId("trust");
		line.textContent = `${count(report.objects)} objects   ${bytes(report.bytes)} of objects   ${bytes(report.rss_bytes)} resident   ` + (trust.length ? trust.join("; ") : "books balance");
		if (trust.length) line.className = "warn";
		const first = (report.suspects || [])[0];
		if (first) byId("largest").textContent = show(`${first.path} holds ${bytes(first.held)}, ${first.share} % of all objects`);
		byId("version").textContent = data.version;
	};

	// The line that allocated most of something, where tracemalloc was on.
	const place_of = (at) => (at.file === null ? "not known where" : `${at.file}:${at.line}`);
	const allocated = (li, at, text) => {
		if (at) li.append(make("div", `${text} of it allocated at ${place_of(at)}`, "dim"));
	};

	const memory = () => {
		const t = byId("memory"), rows = report.memory.filter((m) => m.bytes);
		const top = Math.max(1, ...rows.map((m) => m.bytes));
		for (const m of rows) {
			const tr = t.appendChild(make("tr"));
			tr.append(make("td", data.labels[m.name] || m.name), make("td", bytes(m.bytes), "number"), make("td", percent(m.bytes, report.rss_bytes), "number"));
			const bar = tr.appendChild(make("td", undefined, "bar")).appendChild(make("i"));
			bar.style.width = Math.max(0.5, (100 * m.bytes) / top) + "%";
		}
		byId("memory-note").textContent = `${bytes(report.explained_bytes)} of ${bytes(report.rss_bytes)} resident memory are explained`;
	};

	const suspects = () => {
		const list = byId("suspects");
		const standOut = report.suspects || [], shown = standOut.length ? standOut : (report.holders || []).slice(0, 5);
		if (!standOut.length) list.before(make("p", "Nothing stands out by itself. What holds most:", "note"));
		for (const s of shown) {
			const li = list.appendChild(make("li"));
			li.append(make("span", bytes(s.retained), "size"), make("div", s.path, "path"));
			li.append(make("div", `${s.type}, ${count(s.elements)} entries, ${count(s.objects)} objects, ${s.share} % of all`));
			if (s.consists && s.consists.length)
				li.append(make("div", "of " + s.consists.map((c) => `${count(c.count)} ${c.type}`).join(", "), "dim"));
			if (s.allocated_at) allocated(li, s.allocated_at, bytes(s.allocated_at.bytes));
			if (s.advice) li.append(make("div", s.advice, "dim"));
		}
	};

	// How much was resident at each snapshot of the process, and how much of it were Python's objects.
	const series = () => {
		const points = data.series || [];
		if (points.length < 2) return;
		const WIDTH = 960, HEIGHT = 200, LEFT = 70, RIGHT = 20, TOP = 10, BOTTOM = 24, SVG = "http://www.w3.org/2000/svg";
		const part = (into, tag, attributes, text) => {
			const e = into.appendChild(document.createElementNS(SVG, tag));
			for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
			if (text !== undefined) e.textContent = show(text);
			return e;
		};
		const x = d3.scaleUtc().domain([points[0].taken_ms, points[points.length - 1].taken_ms]).range([LEFT, WIDTH - RIGHT]);
		const y = d3.scaleLinear().domain([0, Math.max(1, ...points.map((p) => Math.max(p.rss, p.bytes)))]).range([HEIGHT - BOTTOM, TOP]);
		byId("series").append(make("h2", `Over time: ${count(points.length)} snapshots of this process`));
		const key = byId("series").appendChild(make("p", undefined, "key note"));
		for (const [name, text] of [["rss", "resident memory"], ["objects", "Python objects"]]) key.append(make("i", undefined, name), text);
		const svg = part(byId("series"), "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
		const first = points[0], last = points[points.length - 1];
		part(svg, "title", {}, `resident memory from ${bytes(first.rss)} at ${first.taken_at} to ${bytes(last.rss)} at ${last.taken_at}`);
		for (const tick of y.ticks(4)) {
			part(svg, "line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) });
			part(svg, "text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, bytes(tick));
		}
		const when = x.tickFormat(6);
		for (const tick of x.ticks(6)) part(svg, "text", { x: x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, when(tick));
		for (const [name, key_of] of [["rss", "rss"], ["objects", "bytes"]]) {
			part(svg, "path", { class: name, d: "M" + points.map((p) => `${x(p.taken_ms).toFixed(1)},${y(p[key_of]).toFixed(1)}`).join("L") });
			for (const p of points) {
				const dot = part(svg, "circle", { class: name, cx: x(p.taken_ms).toFixed(1), cy: y(p[key_of]).toFixed(1), r: p.here ? 5 : 2.5 });
				part(dot, "title", {}, `${p.taken_at}: ${bytes(p.rss)} resident, ${bytes(p.bytes)} of objects` + (p.here ? " (this report)" : ""));
			}
		}
	};

	// What is different from an earlier snapshot, which the page has where memattach diff --html wrote it.
	const diff = () => {
		const d = data.diff, place = byId("diff");
		if (!d) {
			place.remove();
			return;
		}
		const hours = d.elapsed_s >= 1 ? d.elapsed_s / 3600 : 0;
		const growth = (g) => {
			const li = make("li");
			li.append(make("span", signed(g.gained_bytes), "size"), make("div", g.path, "path"));
			if (g.type) li.append(make("div", `${g.type}, retains ${g.is_new ? "" : bytes(g.old_retained) + " → "}${bytes(g.new_retained)}${g.is_new ? ", new" : ""}`));
			const kinds = g.gained_types.filter((t) => t.count).slice(0, 5).map((t) => `${signed(t.count, count)} ${t.type}`);
			li.append(make("div", `${signed(g.gained_objects, count)} objects${kinds.length ? ": " + kinds.join(", ") : ""}`, "dim"));
			if (g.allocated_at) allocated(li, g.allocated_at, signed(g.allocated_at.gained_bytes));
			if (typeof g.steady === "boolean") li.append(make("div", `${g.steady ? "steady" : "not steady"}: ${signed(g.gained_first)} up to the middle, ${signed(g.gained_second)} after it`, "dim"));
			return li;
		};
		const list = (title, points, none) => {
			place.append(make("h2", title));
			if (!points.length) place.append(make("p", none, "note"));
			const ol = place.appendChild(make("ol", undefined, "points"));
			for (const g of points) ol.append(growth(g));
		};
		const by = (key) => (r) => r["new_" + key] - r["old_" + key];
		const before = (key) => ({ title: "Before", number: true, value: (r) => r["old_" + key], text: (r) => bytes(r["old_" + key]) });
		const after = (key) => ({ title: "After", number: true, value: (r) => r["new_" + key], text: (r) => bytes(r["new_" + key]) });
		const changes = (key) => [before(key), after(key), { title: "Change", number: true, value: by(key), text: (r) => signed(by(key)(r)) },
			...(hours ? [{ title: "An hour", number: true, value: by(key), text: (r) => signed(by(key)(r) / hours) }] : [])];
		const rows = (title, all, columns, options) => {
			place.append(make("h2", title));
			table(place.appendChild(make("div")), all, columns, options);
		};
		const span = d.elapsed_s < 120 ? `${Number(d.elapsed_s.toPrecision(3))} s` : d.elapsed_s < 7200 ? `${(d.elapsed_s / 60).toFixed(1)} min` : `${(d.elapsed_s / 3600).toFixed(1)} h`;
		place.append(make("p", `${d.old_taken_at} → ${d.new_taken_at}, ${span}: ${signed(d.new_rss_bytes - d.old_rss_bytes)} resident, ${signed(d.new_bytes - d.old_bytes)} of objects`));
		place.append(make("p", `${d.old}${d.middle ? " → " + d.middle : ""} → ${d.new}`, "note"));
		for (const which of ["old", "new"]) if (!d[which + "_complete"]) place.append(make("p", `${d[which]} is not whole: what it lacks seems to be gone`, "warn"));
		if (d.elapsed_s <= 0) place.append(make("p", "the first snapshot is not older than the second", "warn"));
		if (!d.same_program) place.append(make("p", "the command lines of the two differ", "warn"));
		if (d.matched_by !== "address") place.append(make("p", "two processes: containers are matched by their paths", "note"));
		list("Grew", d.growth, "No container gained much.");
		if (d.shrank.length) list("Shrank", d.shrank.slice(0, 3), "");
		const labelled = (r) => data.labels[r.name] || r.name;
		rows("Memory", [{ name: "resident", old_bytes: d.old_rss_bytes, new_bytes: d.new_rss_bytes }, ...d.memory.filter((r) => r.old_bytes || r.new_bytes)],
			[{ title: "Row", value: labelled }, ...changes("bytes")], { by: 3 });
		rows("Modules, by what they retain", d.modules.filter((r) => by("retained")(r) || by("instances")(r)),
			[{ title: "Module", value: (r) => r.module, name: "path" }, ...changes("retained"),
			{ title: "Instances", number: true, value: by("instances"), text: (r) => signed(by("instances")(r), count) },
			{ title: "Their bytes", number: true, value: by("bytes"), text: (r) => signed(by("bytes")(r)) }], { by: 3, search: true });
		rows("Types", d.types.filter((r) => by("bytes")(r) || by("count")(r)),
			[{ title: "Type", value: (r) => r.type, name: "path" }, { title: "Count", number: true, value: by("count"), text: (r) => signed(by("count")(r), count) }, ...changes("bytes")],
			{ by: 4, search: true });
		const lines = d.sites || [];
		if (lines.length)
			rows("Allocated at", lines, [{ title: "Line", value: place_of, name: "path" }, { title: "Blocks", number: true, value: by("count"), text: (r) => signed(by("count")(r), count) }, ...changes("bytes")],
				{ by: 4, search: true });
	};

	const sites = () => {
		const place = byId("sites");
		if (!report.sites) {
			place.remove();
			return;
		}
		place.append(make("p", `${bytes(report.traced_bytes)} in ${count(report.traced_blocks)} blocks are known to tracemalloc, which takes ${bytes(report.tracemalloc_bytes)} itself`, "note"));
		const number = (title, key, text = count) => ({ title, number: true, value: (r) => r[key], text: (r) => text(r[key]) });
		table(place, report.sites, [{ title: "Line", value: place_of, name: "path" }, number("Blocks", "count"), number("Bytes", "bytes", bytes), number("Objects", "objects"),
			{ title: "Most of them", value: (r) => r.types.map((t) => `${count(t.count)} ${t.type}`).join(", ") }], { by: 2, search: true });
	};

	const flame = () => {
		const g = data.paths, nodes = g.parent.map((_, i) => ({ name: show(g.text[i]), value: g.total[i], objects: g.objects[i], children: [] }));
		const root = { name: "all objects", value: g.bytes, objects: report.objects, children: [] };
		nodes.forEach((n, i) => (g.parent[i] < 0 ? root : nodes[g.parent[i]]).children.push(n));
		const place = byId("flame");
		const label = (d) => {
			const way = [];
			for (let n = d; n && n.parent; n = n.parent) way.unshift(n.data.name);
			return `${bytes(d.data.value)}, ${percent(d.data.value, root.value)}, ${count(d.data.objects)} objects: ${way.join("  ›  ") || root.name}`;
		};
		let chart = null;
		const draw = () => {
			if (chart) return;
			chart = (flamegraph.default || flamegraph.flamegraph)().width(Math.max(320, place.clientWidth)).cellHeight(20).inverted(true).minFrameSize(2).transitionDuration(0)
				.sort((a, b) => b.data.value - a.data.value).selfValue(false).setLabelHandler(label).setDetailsElement(byId("details"));
			chart.setSearchMatch((d, term) => Boolean(term) && d.data.name.toLowerCase().includes(term.toLowerCase()));
			chart.setSearchHandler((results, sum) => {
				byId("found").textContent = `${count(results.length)} found, ${bytes(sum)}, ${percent(sum, root.value)}`;
			});
			d3.select(place).datum(root).call(chart);
		};
		byId("search").addEventListener("submit", (event) => {
			event.preventDefault();
			chart.search(byId("term").value);
		});
		byId("reset").addEventListener("click", () => {
			byId("term").value = byId("found").textContent = "";
			chart.clear();
			chart.resetZoom();
		});
		return draw;
	};

	const parts = () => {
		const size = (title, key) => ({ title, number: true, value: (r) => r[key], text: (r) => bytes(r[key]) });
		const number = (title, key) => ({ title, number: true, value: (r) => r[key], text: (r) => count(r[key]) });
		const text = (title, key, name) => ({ title, value: (r) => r[key], name });
		table(byId("types"), report.types, [text("Type", "type", "path"), number("Count", "count"), size("Bytes", "bytes"), size("Retained", "retained")], { by: 2, search: true });
		table(byId("holders"), report.holders || report.suspects || [], [text("Holder", "path", "path"), text("Type", "type"), number("Entries", "elements"), size("Retained", "retained"), size("Held", "held"), number("Objects", "objects")], { by: 4, search: true });
		for (const th of report.threads) {
			const title = `Thread ${th.tid} ${th.name}${th.holds_gil ? ", holds the GIL" : ""}`;
			byId("threads").append(make("h2", title));
			const list = byId("threads").appendChild(make("ol"));
			for (const f of th.frames) list.append(make("li", `${f.function} (${f.file}:${f.line})`, "path"));
		}
		byId("allocator").append(make("h2", "Size classes of pymalloc"));
		table(byId("allocator"), report.size_classes || [], [size("Blocks of", "block_bytes"), number("Pools", "pools"), number("Used", "used"), number("Free", "free"),
			{ title: "Free bytes", number: true, value: (r) => r.free * r.block_bytes, text: (r) => bytes(r.free * r.block_bytes) }], { by: 4 });
		const notes = [...(report.causes || []), ...(report.notes || [])];
		for (const note of notes) byId("notes").append(make("p", typeof note === "string" ? note : note.text || JSON.stringify(note)));
		if (!notes.length) byId("notes").append(make("p", "None: nothing is missing from this snapshot."));
	};

	const tabs = (drawFlame) => {
		const nav = document.querySelector("nav"), sections = [...document.querySelectorAll("main > section")], buttons = [];
		const open = (id) => {
			sections.forEach((s, i) => {
				s.hidden = s.id !== id;
				buttons[i].setAttribute("aria-selected", String(s.id === id));
				buttons[i].tabIndex = s.id === id ? 0 : -1;
			});
			if (id === "graph") drawFlame();
		};
		sections.forEach((s, i) => {
			const b = nav.appendChild(make("button", s.dataset.title));
			b.type = "button";
			b.id = "tab-" + s.id;
			b.setAttribute("role", "tab");
			b.setAttribute("aria-controls", s.id);
			s.setAttribute("role", "tabpanel");
			s.setAttribute("aria-labelledby", b.id);
			b.addEventListener("click", () => open(s.id));
			b.addEventListener("keydown", (event) => {
				const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
				if (!step) return;
				const next = buttons[(i + step + buttons.length) % buttons.length];
				next.focus();
				next.click();
			});
			buttons.push(b);
		});
		open(sections[0].id);
	};

	header();
	memory();
	suspects();
	series();
	diff();
	parts();
	sites();
	tabs(flame());
})();
