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
		byId("process").textContent = show(`pid ${report.pid}   CPython ${report.python}   ${report.host}   ${report.taken_at}   stopped ${duration(report.pause_ns)}`);
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
			if (s.advice) li.append(make("div", s.advice, "dim"));
		}
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
		open("overview");
	};

	header();
	memory();
	suspects();
	parts();
	tabs(flame());
})();
