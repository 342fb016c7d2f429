"use strict";
(() => {
  const EVERY = 1000, AWAY = 5000, FEW = 12;
  const $ = (id) => document.getElementById(id);
  const NS = "http://www.w3.org/2000/svg";

  // ---- small things -----------------------------------------------------------------------------------------------
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "class") node.className = value;
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  };
  const draw = (tag, attributes, text) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const SIGNS = {
    done: "M16 3a13 13 0 1 0 0 26a13 13 0 1 0 0-26zm-2 19.2l-6-6l2.2-2.2l3.8 3.8l8-8l2.2 2.2z",
    now: "M16 3a13 13 0 1 0 0 26a13 13 0 1 0 0-26zm0 3.4a9.600 9.600 0 1 1 0 19.200a9.600 9.600 0 1 1 0-19.200zm0 4.600a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
    ahead: "M16 5a11 11 0 1 0 0 22a11 11 0 1 0 0-22zm0 2.600a8.400 8.400 0 1 1 0 16.800a8.400 8.400 0 1 1 0-16.800z",
    wrong: "M10 3h12l7 7v12l-7 7h-12l-7-7v-12zm.8 9.400l3.600 3.600l-3.600 3.600l1.800 1.800l3.600-3.600l3.600 3.600l1.800-1.800l-3.600-3.600l3.600-3.600l-1.800-1.800l-3.600 3.600l-3.600-3.600z",
    look: "M16 3.500l13.500 24.500h-27zm-1.500 9v8h3v-8zm0 10v3h3v-3z",
  };
  const sign = (kind) => {
    const svg = draw("svg", { viewBox: "0 0 32 32", "aria-hidden": "true" });
    svg.append(draw("path", { d: SIGNS[kind], fill: "currentColor", "fill-rule": "evenodd" }));
    return svg;
  };
  const TONES = { calm: "ahead", good: "done", busy: "now", look: "look", wrong: "wrong" };
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  /** Replaces a list only where what it shows has changed, so that nobody loses what he has marked. */
  const shown = new Map();
  const fill = (node, what, build) => {
    const key = JSON.stringify(what);
    if (shown.get(node) === key) return;
    shown.set(node, key);
    node.replaceChildren(...build());
  };

  // ---- numbers ----------------------------------------------------------------------------------------------------
  const whole = (number) => Math.round(number).toLocaleString("en-US");
  const short = (number) => {
    for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e4, "K"]]) {
      if (number >= size) { const value = number / (unit === "K" ? 1e3 : size); return (value < 9.95 ? value.toFixed(1) : Math.round(value)) + unit; }
    }
    return whole(number);
  };
  const bytes = (number) => {
    for (const [size, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
      if (number >= size) { const value = number / size; return [value < 9.95 ? value.toFixed(1) : String(Math.round(value)), unit]; }
    }
    return [String(number), "bytes"];
  };
  const time = (ms) => {
    if (ms === null || ms === undefined) return ["–", ""];
    if (ms < 0.95) return [ms.toFixed(1), "ms"];
    if (ms < 999.5) return [String(Math.round(ms)), "ms"];
    const seconds = ms / 1e3;
    if (seconds < 9.95) return [seconds.toFixed(1), "s"];
    if (seconds < 119.5) return [String(Math.round(seconds)), "s"];
    if (seconds < 7200) return [(seconds / 60).toFixed(1), "min"];
    if (seconds < 172800) return [(seconds / 3600).toFixed(1), "h"];
    return [(seconds / 86400).toFixed(1), "days"];
  };
  const words = (pair) => pair.join(" ").trim();
  const ago = (seconds) => words(time(Math.max(0, seconds) * 1e3)) + " ago";
  const count = (number, one) => `${whole(number)} ${one}${number === 1 ? "" : "s"}`;
  /** `shop on db1:5432` of `role@db1:5432/shop`; of a socket only the database. */
  const end = (address) => {
    const [, host, database] = /^[^@]*@(.*)\/([^/]*)$/.exec(address) || [null, "", address];
    return host.startsWith("/") || !host ? database : `${database} on ${host}`;
  };
  const bare = (name) => name.replace(/^public\./, "");
  const clock = (seconds) => new Date(seconds * 1e3).toISOString().slice(11, 19);

  // ---- what is known ----------------------------------------------------------------------------------------------
  let wanted = 300, all = false, last = null, heard = 0;
  const points = new Map();

  async function look() {
    const newest = points.size ? Math.max(...points.keys()) : 0;
    try {
      const stop = AbortSignal.timeout(AWAY);
      const answer = await fetch(`/status.json?since=${Math.max(0, newest - 12)}`, { cache: "no-store", signal: stop });
      if (!answer.ok) throw new Error(String(answer.status));
      last = await answer.json();
      heard = Date.now();
    } catch { fresh(); return; }
    if (!last.sight) points.clear();
    for (const point of last.points) points.set(point[0], point);
    if (last.sight) for (const second of points.keys()) if (second < last.sight.at - 3700) points.delete(second);
    show();
  }

  function fresh() {
    const node = $("fresh");
    if (!heard || Date.now() - heard > AWAY) {
      node.dataset.fresh = "stale";
      write($("fresh-text"), heard ? `the monitor does not answer, ${ago((Date.now() - heard) / 1e3)}` : "the monitor does not answer");
    } else if (last && last.seen_at && !last.is_fresh) {
      node.dataset.fresh = "stale";
      write($("fresh-text"), `seen ${ago(last.now - last.seen_at)}`);
    } else {
      node.dataset.fresh = "live";
      write($("fresh-text"), `live, ${clock(last.now)} UTC`);
    }
  }

  // ---- the parts --------------------------------------------------------------------------------------------------
  function show() {
    fresh();
    const { sight, headline, rail } = last;
    if (headline) {
      document.body.dataset.tone = headline.tone;
      write($("headline"), headline.text);
      write($("more"), headline.more);
      fill($("sign"), headline.tone, () => [...sign(TONES[headline.tone]).childNodes]);
      document.title = `${headline.text} · Confiture`;
    }
    fill($("rail"), rail, () => rail.map((stop) => make("li", { "data-state": stop.state, "aria-current": stop.state === "now" ? "step" : null }, sign(stop.state), stop.label)));
    write($("version"), `confiture ${last.version}`);
    const following = sight && sight.status.following;
    const ends = sight ? [sight.status.source, sight.status.target] : (last.servers || []).map((server) => server.address);
    write($("ends"), ends.map(end).join("  →  "));
    $("ends").title = ends.join("  →  ");
    for (const id of ["figures", "tables-panel"]) $(id).hidden = !sight;
    $("plots").hidden = !following;
    $("columns").hidden = !last.servers;
    $("comparisons-panel").hidden = !following;
    $("checks-panel").hidden = !(following && !["cut_over", "immediate"].includes(following.phase));
    $("stall-panel").hidden = !following;
    $("control").hidden = !(last.control && following);
    servers(last.servers || []);
    events(sight ? sight.trail : []);
    if (!sight) return;
    figures(sight, following);
    tables(sight.status.tables);
    if (!following) return;
    control(following);
    plots(sight.at);
    checks(last.checks || []);
    comparisons(sight);
    stall(sight.cutovers);
  }

  function figures(sight, following) {
    const list = [];
    const add = (name, [value, unit], under) => list.push([name, value, unit || "", under || ""]);
    const copying = sight.status.tables.some((table) => table.state === "copying");
    const expected = sight.status.tables.reduce((sum, table) => sum + (table.expected_rows || 0), 0);
    if (following) {
      add("Lag", time(following.lag_ms), following.seen_seconds_ago === null ? "not equal yet" : `equal ${ago(following.seen_seconds_ago)}`);
      add("Rows a second", [short(rate())], copying ? "copied and applied" : "applied, last 10 s");
      add("Rows copied", [short(sight.copied_rows)], copying && expected ? `of about ${short(expected)}` : words(bytes(sight.copied_bytes)));
      add("Keys that wait", [short(following.waiting_keys)], following.waiting_keys ? "for their table" : "nothing waits");
      add("Kept on source", bytes(following.retained_bytes), following.feed === "wal" ? "by the slot" : "in the queue");
      add("Batches", [short(following.batches)], sight.pace && sight.pace.batch_ms ? `half take under ${words(time(sight.pace.batch_ms[0]))}` : "");
    } else {
      const done = sight.status.tables.filter((table) => table.state === "finished").length;
      add("Tables finished", [`${done}`], `of ${sight.status.tables.length}`);
      add("Rows copied", [short(sight.copied_rows)], expected ? `of about ${short(expected)}` : "");
      add("Copied", bytes(sight.copied_bytes));
    }
    fill($("figures"), list, () => list.map(([name, value, unit, under]) => make("div", { class: "figure" },
      make("div", { class: "name" }, name),
      make("div", { class: "value" }, value, unit ? make("span", { class: "unit" }, unit) : ""),
      make("div", { class: "under" }, under))));
    $("figures").style.gridTemplateColumns = list.length === 3 ? "repeat(3, 1fr)" : "";
  }

  /** Rows a second over the last ten whole seconds. */
  function rate() {
    const now = Math.floor(last.sight.at);
    let rows = 0;
    for (let second = now - 10; second < now; second++) { const point = points.get(second); if (point) rows += point[1] + point[2]; }
    return rows / 10;
  }

  const STATES = { copying: ["now", "copying"], copied: ["now", "copied"], indexing: ["now", "indexing"], catching_up: ["now", "catching up"], following: ["done", "following"], finished: ["done", "finished"] };
  const ORDER = ["copying", "copied", "indexing", "catching_up", "following", "finished"];
  const rows = new Map();
  function tables(list) {
    const sorted = [...list].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.rows - a.rows || (a.table < b.table ? -1 : 1));
    const visible = all ? sorted : sorted.slice(0, FEW);
    const there = list.filter((table) => ["following", "finished"].includes(table.state)).length;
    write($("tables-aside"), `${there} of ${list.length} are there`);
    const more = $("all-tables");
    more.hidden = list.length <= FEW;
    write(more, all ? "Show fewer" : `Show all ${list.length}`);
    const nodes = visible.map((table) => {
      const row = rows.get(table.table) || tableRow(table.table);
      const [kind, word] = STATES[table.state] || ["ahead", table.state];
      row.node.dataset.state = table.state;
      fill(row.state, table.state, () => [sign(kind), word]);
      const share = table.state !== "copying" ? 1 : table.expected_rows ? Math.min(.995, table.rows / table.expected_rows) : 0;
      row.bar.style.width = `${share * 100}%`;
      row.bar.parentNode.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      write(row.rows, whole(table.rows));
      const under = [];
      if (table.state === "copying" && table.expected_rows) under.push(`of about ${short(table.expected_rows)}`);
      if (table.seconds_left) under.push(`${words(time(table.seconds_left * 1e3))} left`);
      if (table.waiting_keys) under.push(`${count(table.waiting_keys, "key")} wait`);
      write(row.under, under.join(", "));
      const known = table.coverage;
      write(row.equal, known ? `equal ${ago(known.seconds_ago)}${known.touched_keys ? `, ${count(known.touched_keys, "key")} since` : ""}` : "");
      return row.node;
    });
    const node = $("tables");
    if (nodes.length !== node.childNodes.length || nodes.some((child, index) => node.childNodes[index] !== child)) node.replaceChildren(...nodes);
  }
  function tableRow(name) {
    const bar = make("i"), state = make("span", { class: "state" }), number = make("span"), under = make("small"), equal = make("span", { class: "equal" });
    const node = make("div", { class: "table", "data-table": name },
      make("span", { class: "name" }, bare(name)), state,
      make("span", { class: "bar-cell" }, make("span", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": name }, bar)),
      make("span", { class: "rows" }, number, under), equal);
    node.querySelector(".bar").style.display = "block";
    const row = { node, bar, state, rows: number, under, equal };
    rows.set(name, row);
    return row;
  }

  const MARKS = { pass: "done", warn: "look", ask: "ahead", fail: "wrong" };
  function checks(list) {
    const passed = list.filter((check) => check.outcome === "pass" || check.outcome === "warn").length;
    write($("checks-aside"), last.checks_failed ? "not known" : list.length ? `${passed} of ${list.length}, ${ago(last.now - last.checked_at)}` : "one moment");
    fill($("checks"), [list, last.checks_failed], () => last.checks_failed
      ? [make("li", { "data-mark": "ask" }, sign("ahead"), make("span", {}, `This cannot be looked at: ${last.checks_failed}`), "")]
      : list.map((check) => make("li", { "data-mark": check.outcome, "data-check": check.id, title: check.outcome === "pass" ? null : check.hint },
        sign(MARKS[check.outcome]), make("span", {}, check.what, make("small", {}, check.evidence)), make("b", { class: "outcome" }, check.outcome.toUpperCase()))));
  }

  function comparisons(sight) {
    const list = sight.comparisons.slice(0, 6).map((one) => ({ ...one, ago: ago(sight.at - one.at) }));
    fill($("comparisons"), list, () => list.length ? list.map((one) => make("li", { "data-mark": one.ok ? "pass" : "fail" },
      sign(one.ok ? "done" : "wrong"),
      make("span", {}, one.ok ? `Equal after batch ${whole(one.batch)}` : `After batch ${whole(one.batch)}: ${one.found || "different"}`),
      make("span", { class: "found" }, `${count(one.rows, "row")} in ${words(time(one.elapsed_ms))}, ${one.ago}`)))
      : [make("li", { "data-mark": "unknown" }, sign("ahead"), make("span", {}, "Not compared yet"), "")]);
  }

  function stall(list) {
    fill($("stall"), list, () => {
      if (!list.length) return [make("p", { class: "none" }, "There was no cutover yet. How long writes had to wait is drawn here when there was one.")];
      return list.slice(0, 5).map((one) => {
        const waited = one.stall_ms === null ? (one.ended && one.fenced ? (one.ended - one.fenced) * 1e3 : 0) : one.stall_ms;
        const most = Math.max(1000, waited) * 1.12;
        const svg = draw("svg", { viewBox: "0 0 400 26", preserveAspectRatio: "none", role: "img", "aria-label": `${words(time(waited))} of stall` });
        svg.append(draw("rect", { x: 0, y: 6, width: 400, height: 12, rx: 3, fill: "var(--sunk)" }),
          draw("rect", { x: 0, y: 6, width: Math.max(2, 400 * waited / most), height: 12, rx: 3, fill: waited < 1000 ? "var(--green)" : "var(--orange)" }),
          draw("line", { x1: 400 * 1000 / most, x2: 400 * 1000 / most, y1: 1, y2: 23, stroke: "var(--ink)", "stroke-width": 1, "stroke-dasharray": "2 2" }));
        return make("div", { class: "fence" },
          make("b", {}, one.kind === "rollback" ? "Rollback" : "Cutover"),
          ` ${one.started ? clock(one.started) + " UTC" : ""}: ${(one.outcome || "at work").replace("_", " ")}${waited ? `, writes waited ${words(time(waited))}` : ""}${one.found ? `. ${one.found}` : ""} `,
          svg, make("span", { class: "aside" }, "the dashed line is one second"));
      });
    });
  }

  function servers(list) {
    fill($("servers"), list, () => list.map((server) => {
      const node = make("div", { class: "server", "data-side": server.side },
        make("div", { class: "server-name" }, make("b", {}, server.side === "source" ? "Old database" : "New database"),
          make("span", {}, server.version ? `PostgreSQL ${server.version}` : ""), make("span", { class: "mono" }, server.address)));
      if (server.error) { node.append(make("p", { class: "away" }, server.error)); return node; }
      const dl = make("dl");
      const say = (name, value) => dl.append(make("dt", {}, name), make("dd", {}, value));
      const total = server.databases.reduce((sum, one) => sum + one.connections, 0);
      const active = server.databases.reduce((sum, one) => sum + one.active, 0);
      const stuck = server.databases.reduce((sum, one) => sum + one.idle_in_transaction, 0);
      const oldest = server.databases.reduce((most, one) => Math.max(most, one.oldest_transaction_seconds), 0);
      if (server.databases.length) say("Connections", `${total} of ${server.databases[0].allowed}, ${active} active${stuck ? `, ${stuck} idle in a transaction` : ""}`);
      say("Oldest transaction", oldest < 1 ? "none" : words(time(Math.round(oldest) * 1e3)));
      say("Waiting for a lock", server.lock_waits.length ? count(server.lock_waits.length, "session") : "nobody");
      say("Statements over 5 s", server.slow_statements.length ? whole(server.slow_statements.length) : "none");
      for (const slot of server.retained) say(`Slot ${slot.slot}`, `${slot.bytes_kept === null ? "?" : words(bytes(slot.bytes_kept))} kept${slot.active ? "" : ", nobody reads it"}`);
      node.append(dl);
      const waits = [
        ...server.lock_waits.slice(0, 5).map((wait) => `pid ${wait.pid} (${wait.role || "?"}) has waited ${words(time(wait.waits_seconds * 1e3))} for ${wait.wants || "a lock"}, behind ${wait.blocked_by || "somebody who has just gone"}`),
        ...server.slow_statements.slice(0, 5).map((one) => `pid ${one.pid} (${one.role || "?"}, ${one.application || "no name"}) has been running for ${words(time(one.runs_seconds * 1e3))}: ${one.waits_for}`),
      ];
      if (waits.length) node.append(make("ul", { class: "waits" }, ...waits.map((text) => make("li", {}, text))));
      return node;
    }));
  }

  function events(list) {
    fill($("events"), list, () => list.length ? list.flatMap((event, index) => {
      const day = event.at.slice(0, 10), before = index ? list[index - 1].at.slice(0, 10) : new Date().toISOString().slice(0, 10);
      return [day !== before ? make("li", {}, make("span", { class: "day" }, day)) : null,
        make("li", {}, make("time", { datetime: event.at }, event.at.slice(11, 19)),
          make("span", {}, make("span", { class: "what" }, event.what), make("span", { class: "who" }, event.actor ? `${event.actor}, role ${event.by}` : `role ${event.by}`)))].filter(Boolean);
    }) : [make("li", {}, make("span", { class: "day" }, "Nothing yet."))]);
  }

  // ---- plots ------------------------------------------------------------------------------------------------------
  const W = 360, H = 132, LEFT = 40, BOTTOM = 18, TOP = 8;
  const nice = (most) => {
    if (!(most > 0)) return 1;
    const size = 10 ** Math.floor(Math.log10(most));
    return [1, 2, 2.5, 5, 10].map((step) => step * size).find((step) => step >= most);
  };
  const PLOTS = [
    { id: "lag", title: "Lag", floor: 10, axis: (value) => words(time(value)), limit: 1000,
      series: [["line area", (point) => point[3]]],
      now: (last) => last.sight.pace && last.sight.pace.lag_ms ? `99 % under ${words(time(last.sight.pace.lag_ms[2]))}` : "" },
    { id: "rows", title: "Rows a second", floor: 10, axis: short, sum: true,
      series: [["line area", (point) => point[2]], ["second", (point) => point[1]]], legend: true },
    { id: "retained", title: "Kept on the source", floor: 1000, axis: (value) => words(bytes(Math.round(value))),
      series: [["line area", (point) => point[5]]],
      now: (last) => words(bytes(last.sight.status.following.retained_bytes)) },
  ];
  for (const plot of PLOTS) {
    plot.svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": plot.title });
    plot.now_node = make("span");
    plot.node = make("div", { class: "panel plot", id: `plot-${plot.id}` }, make("div", { class: "plot-head" }, make("b", {}, plot.title), plot.now_node), plot.svg);
    plot.svg.addEventListener("pointermove", (event) => { const box = plot.svg.getBoundingClientRect(); plot.at = (event.clientX - box.left) / box.width; drawPlot(plot); });
    plot.svg.addEventListener("pointerleave", () => { plot.at = null; drawPlot(plot); });
    $("plot-grid").append(plot.node);
  }

  function plots() { for (const plot of PLOTS) drawPlot(plot); }

  function drawPlot(plot) {
    if (!last || !last.sight) return;
    const end = Math.floor(last.sight.at) - 1;
    const span = Math.min(wanted, Math.max(60, end - first() + 1)), begin = end - span, width = Math.max(1, plot.svg.clientWidth || W);
    plot.svg.setAttribute("viewBox", `0 0 ${width} ${H}`);
    const columns = Math.min(span, Math.max(60, Math.floor((width - LEFT) / 2)));
    const step = span / columns;
    // Several seconds of one column: the highest of what is a state, the mean of what is a rate.
    const values = plot.series.map(([, read]) => {
      const found = new Array(columns).fill(null), seen = new Array(columns).fill(0);
      for (let second = begin + 1; second <= end; second++) {
        const point = points.get(second);
        const column = Math.min(columns - 1, Math.floor((second - begin - 1) / step));
        let value = point ? read(point) : plot.sum && second >= first() ? 0 : null;
        if (value === null || value === undefined) continue;
        if (plot.sum) { found[column] = (found[column] || 0) + value; seen[column]++; }
        else found[column] = Math.max(found[column] === null ? 0 : found[column], value);
      }
      return plot.sum ? found.map((value, index) => (seen[index] ? value / seen[index] : value)) : found;
    });
    if (plot.id === "retained") values[0].forEach((value, index) => { if (value === null && index && values[0][index - 1] !== null) values[0][index] = values[0][index - 1]; });
    const total = plot.sum ? values[0].map((value, index) => (value === null ? null : value + (values[1][index] || 0))) : values[0];
    const top = Math.max(plot.floor, nice(Math.max(0, ...total.filter((value) => value !== null)) * 1.05));
    const x = (column) => LEFT + (column + .5) * (width - LEFT) / columns, y = (value) => TOP + (H - TOP - BOTTOM) * (1 - value / top);
    const nodes = [];
    for (const part of [0, .5, 1]) {
      nodes.push(draw("line", { class: "grid", x1: LEFT, x2: width, y1: y(top * part), y2: y(top * part) }));
      nodes.push(draw("text", { x: LEFT - 6, y: y(top * part) + 3.5, "text-anchor": "end" }, part ? plot.axis(top * part) : "0"));
    }
    const ticks = width > 320 ? 3 : 2;
    for (let tick = 0; tick < ticks; tick++) {
      const part = tick / (ticks - 1);
      nodes.push(draw("text", { x: LEFT + (width - LEFT) * part, y: H - 3, "text-anchor": tick === 0 ? "start" : tick === ticks - 1 ? "end" : "middle" }, clock(begin + span * part).slice(0, span > 600 ? 5 : 8)));
    }
    if (plot.limit && plot.limit < top) nodes.push(draw("line", { class: "limit", x1: LEFT, x2: width, y1: y(plot.limit), y2: y(plot.limit) }));
    const paths = (list, under) => {
      let line = "", area = "", run = [];
      const close = () => {
        if (!run.length) return;
        const upper = run.map((column) => `${x(column).toFixed(1)},${y(list[column]).toFixed(1)}`);
        const lower = run.map((column) => `${x(column).toFixed(1)},${y(under ? under[column] || 0 : 0).toFixed(1)}`).reverse();
        line += `M${upper.join("L")}` + (run.length === 1 ? "h.01" : "");
        area += `M${upper.join("L")}L${lower.join("L")}Z`;
        run = [];
      };
      list.forEach((value, column) => { if (value === null) close(); else run.push(column); });
      close();
      return [line, area];
    };
    if (plot.sum) nodes.push(draw("path", { class: "second", d: paths(total, values[0])[1] }));
    const [line, area] = paths(values[0]);
    nodes.push(draw("path", { class: "area", d: area }), draw("path", { class: "line", d: line }));
    let words_now = plot.now ? plot.now(last) : "";
    if (plot.at !== null && plot.at !== undefined) {
      const column = Math.min(columns - 1, Math.max(0, Math.floor((plot.at * width - LEFT) / (width - LEFT) * columns)));
      nodes.push(draw("line", { class: "cross", x1: x(column), x2: x(column), y1: TOP, y2: H - BOTTOM }));
      const of = (value) => (value === null ? "–" : plot.axis(value));
      words_now = `${clock(begin + (column + 1) * step)}  ${plot.sum ? `${of(values[0][column])} applied, ${of(values[1][column])} copied` : of(values[0][column])}`;
    }
    plot.svg.replaceChildren(...nodes);
    if (plot.legend && (plot.at === null || plot.at === undefined)) fill(plot.now_node, "legend", () => [make("i", { class: "key applied" }), "applied", make("i", { class: "key copied" }), "copied"]);
    else { shown.delete(plot.now_node); write(plot.now_node, words_now); }
  }
  function first() { let least = Infinity; for (const second of points.keys()) if (second < least) least = second; return least; }

  for (const button of document.querySelectorAll("[data-span]")) {
    button.addEventListener("click", () => {
      wanted = Number(button.dataset.span);
      for (const other of document.querySelectorAll("[data-span]")) other.setAttribute("aria-pressed", String(other === button));
      write($("span-words"), { 300: "5 minutes", 900: "15 minutes", 3600: "hour" }[wanted]);
      plots();
    });
  }
  $("all-tables").addEventListener("click", () => { all = !all; if (last && last.sight) tables(last.sight.status.tables); });

  // ---- control ----------------------------------------------------------------------------------------------------
  let token = sessionStorage.getItem("confiture-token") || "", waiting = false;
  function control(following) {
    $("pause").hidden = following.paused;
    $("resume").hidden = !following.paused;
    $("token-field").hidden = Boolean(token);
    const most = $("most");
    if (document.activeElement !== most && most.dataset.shown !== String(following.max_rows_per_second)) {
      most.dataset.shown = String(following.max_rows_per_second);
      most.value = following.max_rows_per_second || "";
    }
    write($("throttle"), following.max_rows_per_second ? "Change" : "Throttle");
  }
  async function order(said, words_done) {
    const given = token || $("token").value.trim(), node = $("said");
    const say = (text, ok) => { node.dataset.ok = ok ? "yes" : "no"; write(node, text); };
    if (!given) { say("Type the token first: it is in the file that --token-file names.", false); $("token").focus(); return; }
    if (waiting) return;
    waiting = true;
    for (const button of $("control").querySelectorAll("button")) button.disabled = true;
    try {
      const answer = await fetch("/control", { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${given}` }, body: JSON.stringify(said) });
      const body = await answer.json();
      if (answer.ok) { token = given; sessionStorage.setItem("confiture-token", given); $("token").value = ""; say(words_done, true); }
      else {
        if (answer.status === 401) { token = ""; sessionStorage.removeItem("confiture-token"); $("token-field").hidden = false; }
        say(`Not done: ${body.error}`, false);
      }
    } catch { say("Not done: the monitor does not answer.", false); }
    waiting = false;
    for (const button of $("control").querySelectorAll("button")) button.disabled = false;
    look();
  }
  $("pause").addEventListener("click", () => order({ order: "pause" }, "Told to pause. A run hears it within a second."));
  $("resume").addEventListener("click", () => order({ order: "resume" }, "Told to go on."));
  $("throttle").addEventListener("click", () => {
    const most = Math.max(0, Math.floor(Number($("most").value) || 0));
    const bytes_now = last.sight.status.following.max_bytes_per_second;
    order({ order: "throttle", rows_per_second: most || null, bytes_per_second: bytes_now }, most ? `Told to write ${whole(most)} rows a second at most.` : "Told to be as fast as it can.");
  });

  // ---- again and again --------------------------------------------------------------------------------------------
  let due = null;
  async function again() {
    clearTimeout(due);
    if (!document.hidden) await look();
    due = setTimeout(again, EVERY);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });
  window.addEventListener("resize", plots);
  setInterval(() => { if (!document.hidden && last) fresh(); }, EVERY);
  again();
})();
