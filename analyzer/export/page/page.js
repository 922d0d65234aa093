"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  function node(name, attributes = {}, text) {
    const svg = ["svg", "g", "path", "line", "rect", "circle", "text", "title"].includes(name);
    const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function bytes(size) {
    if (size < 1024) return `${size} B`;
    for (const prefix of "KMGTPEZY") {
      size /= 1024;
      if (size < 1024 || prefix === "Y") return `${Number(size.toPrecision(4))} ${prefix}iB`;
    }
  }

  const color = (strategy) => `var(${data.looks[strategy][0]})`;
  const width = (element) => Math.max(280, Math.floor(element.getBoundingClientRect().width));

  // Radio buttons, one for each strategy; the browser gives them their keys.
  function pick(id, chosen, change) {
    for (const name of data.strategies) {
      const label = node("label"), input = node("input", { type: "radio", name: id, value: name });
      input.checked = name === chosen;
      input.addEventListener("change", () => change(name));
      label.append(input, name);
      $(id).append(label);
    }
  }

  // Tables: a click on a head sorts, a second one turns the order round.
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = node("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
        const order = (a, b) => {
          const [x, y] = [key(a), key(b)], [m, n] = [Number(x.replace("inf", "Infinity")), Number(y.replace("inf", "Infinity"))];
          return Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m === n ? 0 : m - n;
        };
        const rows = [...table.tBodies[0].rows].sort(order);
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    });
  }

  // ---- memory over the schedule ----
  const described = (name) => data.phases[name] ?? [name, "other"];
  const groupOf = (kind) => described(kind)[1];
  const memory = { name: data.recommended, at: {}, x: null };

  function drawMemory() {
    const figure = data.memory.find((each) => each.strategy === memory.name), box = $("memory-plot");
    const wide = width(box), high = 320, left = 64, right = 10, top = 14, bottom = 30;
    const n = figure.instants.length, alive = figure.instants.map((each) => each[3]);
    const same = $("memory-scale").checked;
    const most = same ? Math.max(...data.memory.flatMap((each) => each.instants.map((i) => i[3]))) : Math.max(...alive);
    const x = (i) => left + (wide - left - right) * i / n;
    const y = (value) => high - bottom - (high - top - bottom) * value / most;
    const svg = node("svg", { viewBox: `0 0 ${wide} ${high}`, "aria-hidden": "true" });
    const unit = 2 ** Math.floor(Math.log2(most / 3));
    for (let value = 0; value <= most; value += unit) {
      svg.append(node("line", { class: "axis", x1: left, x2: wide - right, y1: y(value), y2: y(value) }));
      svg.append(node("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, bytes(value)));
    }
    svg.append(node("text", { x: left, y: high - 8 }, "step 1"));
    svg.append(node("text", { x: wide - right, y: high - 8, "text-anchor": "end" }, `${figure.steps.toLocaleString("en")}`));
    // What never changes lies at the bottom, the others on it in the order of their birth, what has no band of its own last.
    const floor = new Array(n).fill(0), used = new Set(), rest = Object.entries(figure.rest);
    const shape = (first, last, size, group, title) => {
      let above = "", below = "";
      for (let i = first; i <= last; i += 1) {
        above += `L${x(i).toFixed(1)} ${y(floor[i] + size(i)).toFixed(1)}L${x(i + 1).toFixed(1)} ${y(floor[i] + size(i)).toFixed(1)}`;
        below = `L${x(i + 1).toFixed(1)} ${y(floor[i]).toFixed(1)}L${x(i).toFixed(1)} ${y(floor[i]).toFixed(1)}` + below;
        floor[i] += size(i);
      }
      const path = node("path", { d: `M${above.slice(1)}${below}Z`, fill: `var(--k-${group})`, stroke: "var(--paper)", "stroke-width": 0.6 });
      path.append(node("title", {}, title));
      svg.append(path);
      used.add(group);
    };
    const layers = [
      ...figure.bands.map(([name, dims, size, kind, first, last]) =>
        [first === 0 && last === n - 1, first, last, () => size, groupOf(kind), `${name}  ${dims}  ${bytes(size)}`]),
      ...rest.map(([kind, sizes]) => [new Set(sizes).size === 1, 0, n - 1, (i) => sizes[i], groupOf(kind), `smaller arrays: ${kind}`]),
    ];
    for (const [, ...layer] of layers.sort(([a], [b]) => b - a)) shape(...layer);
    if (figure.instants.some((each) => each[4])) shape(0, n - 1, (i) => figure.instants[i][4], "workspace", "workspace");
    const cursor = node("line", { class: "cursor", y1: top, y2: high - bottom });
    svg.append(cursor);
    box.replaceChildren(svg);
    $("memory-key").replaceChildren(...Object.keys(data.groups).filter((group) => used.has(group)).map((group) => {
      const item = node("li"), swatch = node("span", { class: "swatch" });
      swatch.style.background = `var(--k-${group})`;
      item.append(swatch, data.groups[group]);
      return item;
    }));
    const peak = alive.indexOf(Math.max(...alive));
    memory.peak = peak;
    memory.count = n;
    memory.at[memory.name] ??= peak;
    box.setAttribute("aria-valuemax", n);
    memory.show = () => {
      const at = memory.at[memory.name], [number, layer, phase, live, workspace] = figure.instants[at];
      const middle = (x(at) + x(at + 1)) / 2;
      cursor.setAttribute("x1", middle);
      cursor.setAttribute("x2", middle);
      const passes = figure.passes > 1 ? `, the same in each of ${figure.passes.toLocaleString("en")} passes` : "";
      const text = `Step ${number.toLocaleString("en")} of ${figure.steps.toLocaleString("en")}: ${layer}, ${phase} (${described(phase)[0]}): ${bytes(live)}${at === peak ? ", the peak" : ""}${passes}.`;
      $("memory-now").textContent = text;
      box.setAttribute("aria-valuenow", at + 1);
      box.setAttribute("aria-valuetext", text);
      const rows = figure.bands.filter((band) => band[4] <= at && at <= band[5]).sort((a, b) => b[2] - a[2])
        .map(([name, dims, size, , first, last]) => [name, dims, bytes(size), figure.instants[first][0], figure.instants[last][0]]);
      for (const [kind, sizes] of rest) if (sizes[at]) rows.push([`smaller arrays: ${kind}`, "", bytes(sizes[at]), "", ""]);
      if (workspace) rows.push(["workspace", "", bytes(workspace), number, number]);
      $("memory-alive").tBodies[0].replaceChildren(...rows.map((cells) => {
        const row = node("tr");
        row.append(...cells.map((cell) => node("td", {}, cell)));
        return row;
      }));
    };
    memory.find = (event) => Math.floor((event.clientX - box.getBoundingClientRect().left - left) / (wide - left - right) * n);
    memory.show();
  }

  function moveMemory(to) {
    memory.at[memory.name] = Math.min(memory.count - 1, Math.max(0, to));
    memory.show();
  }

  $("memory-plot").addEventListener("pointermove", (event) => moveMemory(memory.find(event)));
  $("memory-plot").addEventListener("keydown", (event) => {
    const at = memory.at[memory.name], leap = Math.max(2, Math.round(memory.count / 10));
    const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, PageUp: at + leap, PageDown: at - leap,
      Home: 0, End: memory.count - 1, p: memory.peak, P: memory.peak }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    moveMemory(to);
  });
  $("memory-scale").addEventListener("change", drawMemory);

  // ---- growth ----
  const hidden = new Set();
  const DECIMAL = { base: 10, show: (exponent) => {
    const zeros = ["1", "10", "100"][exponent % 3];
    return exponent < 6 ? (10 ** exponent).toLocaleString("en") : exponent < 21 ? `${zeros} ${"MGTPE"[Math.floor(exponent / 3) - 2]}` : `1e${exponent}`;
  } };
  const BINARY = { base: 2, show: (exponent) => bytes(2 ** exponent) };

  function plot(figure, key, title, scale) {
    const box = node("figure", { class: "figure" });
    box.append(node("figcaption", {}, `${title} along ${figure.path}`));
    const holder = node("div");
    box.append(holder);
    const log = (each) => each[0] / Math.log10(scale.base);
    const draw = () => {
      const wide = width(holder), high = 300, left = 66, right = 14, top = 10, bottom = 34;
      const curves = figure.curves.filter((curve) => !hidden.has(curve.strategy));
      const xs = figure.values.map(Math.log10), all = (curves.length ? curves : figure.curves).flatMap((curve) => curve[key].map(log));
      const low = Math.floor(Math.min(...all)), up = Math.max(low + 1, Math.ceil(Math.max(...all)));
      const x = (value) => left + 8 + (wide - left - right - 8) * (value - xs[0]) / (xs[xs.length - 1] - xs[0]);
      const y = (value) => high - bottom - (high - top - bottom) * (value - low) / (up - low);
      const svg = node("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `${title} along ${figure.path}, both axes logarithmic; the values are in the table below` });
      const each = Math.ceil((up - low) / 7);
      for (let exponent = low; exponent <= up; exponent += each) {
        svg.append(node("line", { class: "axis", x1: left, x2: wide - right, y1: y(exponent), y2: y(exponent) }));
        svg.append(node("text", { x: left - 6, y: y(exponent) + 4, "text-anchor": "end" }, scale.show(exponent)));
      }
      const gap = 40 / (wide - left - right) * (xs[xs.length - 1] - xs[0]);
      let before = -Infinity;
      figure.values.forEach((value, i) => {
        svg.append(node("line", { class: "axis", x1: x(xs[i]), x2: x(xs[i]), y1: high - bottom, y2: high - bottom + 5 }));
        if (xs[i] - before < gap) return;
        before = xs[i];
        svg.append(node("text", { x: x(xs[i]), y: high - bottom + 18, "text-anchor": i === figure.values.length - 1 ? "end" : "middle" }, value.toLocaleString("en")));
      });
      for (const curve of [...curves].reverse()) { // of curves that coincide, the first lies on top
        const points = curve[key].map((each, i) => [x(xs[i]), y(log(each))]), stroke = color(curve.strategy);
        svg.append(node("path", { d: "M" + points.map((p) => p.map((c) => c.toFixed(1)).join(" ")).join("L"), fill: "none", stroke, "stroke-width": 1.8 }));
        points.forEach(([px, py], i) => {
          const mark = node("path", { d: data.looks[curve.strategy][1], transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})`, fill: "none", "pointer-events": "all", stroke, "stroke-width": 1.8 });
          mark.append(node("title", {}, `${curve.strategy}, ${figure.path} ${figure.values[i].toLocaleString("en")}: ${curve[key][i][1]}`));
          svg.append(mark);
        });
      }
      holder.replaceChildren(svg);
    };
    const details = node("details"), scroll = node("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title} along ${figure.path}` });
    const table = node("table"), head = node("tr");
    head.append(node("th", { scope: "col" }, figure.path), ...figure.curves.map((curve) => node("th", { scope: "col" }, curve.strategy)));
    table.append(node("thead"), node("tbody"));
    table.tHead.append(head);
    figure.values.forEach((value, i) => {
      const row = node("tr");
      row.append(node("td", {}, value.toLocaleString("en")), ...figure.curves.map((curve) => node("td", {}, curve[key][i][1])));
      table.tBodies[0].append(row);
    });
    scroll.append(table);
    details.append(node("summary", {}, "The values"), scroll);
    box.append(details);
    $("growth-plots").append(box);
    return draw;
  }

  const growth = data.growth.flatMap((figure) =>
    data.growing.map(([key, title, binary]) => plot(figure, key, title, binary ? BINARY : DECIMAL)));
  const drawGrowth = () => growth.forEach((draw) => draw());
  if (growth.length) {
    for (const strategy of data.strategies) {
      const item = node("li"), button = node("button", { type: "button", "aria-pressed": "true" });
      const icon = node("svg", { width: 14, height: 12, viewBox: "-7 -6 14 12", "aria-hidden": "true" });
      icon.append(node("path", { d: data.looks[strategy][1], fill: "none", stroke: color(strategy), "stroke-width": 1.8 }));
      button.append(icon, strategy);
      button.addEventListener("click", () => {
        if (!hidden.delete(strategy)) hidden.add(strategy);
        button.setAttribute("aria-pressed", String(!hidden.has(strategy)));
        drawGrowth();
      });
      item.append(button);
      $("growth-key").append(item);
    }
  } else $("growth-none").hidden = false;

  // ---- layer graph ----
  const graph = { strategy: data.recommended, chosen: 0, groups: [] };

  function drawGraph() {
    const { nodes, edges } = data.graph, boxWide = 168, boxHigh = 44, across = 190, down = 74;
    const columns = [...nodes.map((each) => each.column), ...edges.flat().map(([column]) => column)];
    const low = Math.min(...columns), x = (column) => (column - low) * across + across / 2, y = (row) => row * down + down / 2;
    const wide = (Math.max(...columns) - low + 1) * across, high = (Math.max(...nodes.map((each) => each.row)) + 1) * down;
    const svg = node("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}` });
    for (const route of edges) {
      let path = "";
      route.forEach(([column, row], i) => {
        const [px, py] = [x(column), y(row) + (i === 0 ? boxHigh / 2 : i === route.length - 1 ? -boxHigh / 2 : 0)];
        if (i === 0) path = `M${px} ${py}`;
        else {
          const [bx, by] = [x(route[i - 1][0]), y(route[i - 1][1]) + (i === 1 ? boxHigh / 2 : 0)], half = (by + py) / 2;
          path += `C${bx} ${half} ${px} ${half} ${px} ${py}`;
        }
      });
      svg.append(node("path", { class: "edge", d: path }));
    }
    graph.groups = nodes.map((each, i) => {
      const g = node("g", { transform: `translate(${x(each.column) - boxWide / 2} ${y(each.row) - boxHigh / 2})`, tabindex: i === graph.chosen ? 0 : -1, role: "img", "aria-label": describe(each) });
      const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);
      g.append(node("rect", { class: "frame", width: boxWide, height: boxHigh, rx: 6 }), node("rect", { class: "heat", width: boxWide, height: boxHigh, rx: 6 }));
      g.append(node("text", { class: "label", x: boxWide / 2, y: 18, "text-anchor": "middle" }, each.name.length > 22 ? `\u2026${each.name.slice(-21)}` : each.name));
      g.append(node("text", { x: boxWide / 2, y: 34, "text-anchor": "middle" }, short(each.about.slice(0, 2).join("  "), 27)));
      g.append(node("title", {}, describe(each)));
      g.addEventListener("click", () => choose(i, true));
      g.addEventListener("focus", () => choose(i, false));
      svg.append(g);
      return g;
    });
    $("graph-plot").replaceChildren(svg);
    shade();
  }

  function describe(each) {
    const cost = each.costs[graph.strategy];
    const tail = cost ? [`${graph.strategy}: ${cost[0]} multiplies, ${(100 * cost[1]).toPrecision(3)} %`] : [];
    return [each.name, ...each.about, ...tail].join(", ");
  }

  function shade() {
    data.graph.nodes.forEach((each, i) => {
      const share = each.costs[graph.strategy]?.[1] ?? 0, g = graph.groups[i];
      g.querySelector(".heat").setAttribute("fill-opacity", (0.75 * Math.sqrt(share)).toFixed(3));
      g.setAttribute("aria-label", describe(each));
      g.querySelector("title").textContent = describe(each);
    });
    say();
  }

  const say = () => { $("graph-now").textContent = `${describe(data.graph.nodes[graph.chosen])}.`; };

  function choose(i, focus) {
    graph.groups[graph.chosen].setAttribute("tabindex", -1);
    graph.groups[graph.chosen].classList.remove("chosen");
    graph.chosen = i;
    graph.groups[i].setAttribute("tabindex", 0);
    graph.groups[i].classList.add("chosen");
    if (focus) graph.groups[i].focus();
    say();
  }

  $("graph-plot").addEventListener("keydown", (event) => {
    const last = data.graph.nodes.length - 1, at = graph.chosen;
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(Math.min(last, Math.max(0, to)), true);
  });

  // ---- layers ----
  function fillLayers(name) {
    const { rows, unshown } = data.costs[name];
    $("layers-table").tBodies[0].replaceChildren(...rows.map(([layer, phase, ...cells]) => {
      const row = node("tr"), formula = cells.pop();
      row.append(node("td", {}, layer), node("td", { title: described(phase)[0] }, phase));
      row.append(...cells.map(([by, shown]) => node("td", { "data-sort": by }, shown)), node("td", { class: "formula" }, formula));
      return row;
    }));
    $("layers-table").querySelectorAll("th").forEach((head) => head.removeAttribute("aria-sort"));
    $("layers-more").textContent = unshown ? `${unshown.toLocaleString("en")} rows with fewer operations are left out; the JSON report has all.` : "";
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  pick("memory-pick", memory.name, (name) => { memory.name = name; drawMemory(); });
  pick("graph-pick", graph.strategy, (name) => { graph.strategy = name; shade(); });
  pick("layers-pick", data.recommended, fillLayers);
  drawMemory();
  drawGrowth();
  drawGraph();
  fillLayers(data.recommended);
  let before = document.documentElement.clientWidth;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === before) return;
    before = document.documentElement.clientWidth;
    drawMemory();
    drawGrowth();
  });
  document.documentElement.dataset.ready = "";
})();
