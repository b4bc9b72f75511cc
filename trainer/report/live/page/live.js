"use strict";

// What the run is, as the server sent it, and brought up to date by every event since.
let run = null;
let clockAhead = 0; // seconds by which this machine's clock is ahead of the run's

const $ = (id) => document.getElementById(id);
const text = (id, value) => { const e = $(id); if (e.textContent !== value) e.textContent = value; };
const element = (tag, content, name) => {
  const e = document.createElement(tag);
  if (content !== undefined) e.textContent = content;
  if (name) e.className = name;
  return e;
};
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

// Numbers for people.

const fixed = (x, digits) => x == null || !isFinite(x) ? "–" : x.toFixed(digits);
const loss = (x) => fixed(x, Math.abs(x) >= 100 ? 1 : 4);
const whole = (x) => x == null || !isFinite(x) ? "–" : Math.round(x).toLocaleString("en-US");
const small = (x) => {
  if (x == null || !isFinite(x)) return "–";
  if (x === 0) return "0";
  if (Math.abs(x) >= 0.01 && Math.abs(x) < 10000) return String(+x.toPrecision(4));
  return x.toExponential(2).replace("e-0", "e-");
};
const bytes = (n) => {
  if (n < 1024) return n + " B";
  let unit = -1;
  do { n /= 1024; unit++; } while (n >= 1024 && unit < 3);
  return n.toFixed(n < 10 ? 2 : 1) + " " + "KMGT"[unit] + "iB";
};
const duration = (s) => {
  s = Math.max(0, Math.round(s));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + two(s % 60) + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + two(Math.floor(s / 60) % 60) + " min";
  return Math.floor(s / 86400) + " d " + two(Math.floor(s / 3600) % 24) + " h";
};

// Curves.

// smooth is an exponential mean that goes over the values forwards and then, over what came of it, backwards: it does not lag behind
// them. No value counts as more than an axis shows. loss.png does the same.
function smooth(values) {
  const keep = Math.exp(-1 / Math.min(30, Math.max(2, values.length / 40)));
  const most = range(values)[1];
  const pass = (from) => {
    let mean = 0, weight = 0; // without the bias of starting from nothing
    return from.map((v) => {
      mean = keep * mean + (1 - keep) * Math.min(v, most);
      weight = keep * weight + (1 - keep);
      return mean / weight;
    });
  };
  return pass(pass(values).reverse()).reverse();
}

// range is what an axis shows: everything, but for the largest one of a hundred values where they would flatten all others.
function range(values) {
  const sorted = values.filter((v) => v != null && isFinite(v)).sort((a, b) => a - b);
  if (sorted.length === 0) return [0, 1];
  let low = sorted[0], high = sorted[sorted.length - 1];
  const rest = sorted[Math.max(0, sorted.length - 1 - Math.max(1, Math.floor(sorted.length / 100)))];
  if (high - low > 3 * (rest - low) && high > 2 * rest && sorted.length > 2) high = rest + (rest - low) * 0.1;
  const air = Math.max((high - low) * 0.06, Math.abs(high) * 1e-3, 1e-12);
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

const charts = {};

function chart(id, height, series, label) {
  const at = $("chart-" + id);
  const axis = { stroke: color("muted"), grid: { stroke: color("grid"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif" };
  const options = {
    width: at.clientWidth, height,
    cursor: { sync: { key: "steps" }, points: { size: 6 }, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: { range: (u, min, max) => range(u.data.slice(1).flat()) } },
    axes: [{ ...axis, size: 28, incrs: [1, 2, 5].flatMap((n) => Array.from({ length: 8 }, (_, i) => n * 10 ** i)).sort((a, b) => a - b) }, { ...axis, size: 58, values: (u, ticks) => ticks.map(label) }],
    series: [{ label: "step", value: (u, v) => v == null ? "–" : whole(v) }, ...series],
  };
  at.textContent = "";
  charts[id] = new uPlot(options, options.series.map(() => []), at);
}

const line = (label, value, more) => ({ label, value: (u, v) => value(v), stroke: color("accent"), width: 1.5, spanGaps: true, points: { show: false }, ...more });

const rewardColors = { chosen: "good", rejected: "evaluation", margin: "accent", reward: "accent" };
let shownRewards = []; // names of the lines

function drawCharts() {
  const narrow = innerWidth <= 520;
  chart("loss", narrow ? 230 : 290, [
    line("each step", loss, { stroke: color("soft"), width: 1 }),
    line("smoothed", loss, { width: 2.5 }),
    line("evaluation", loss, { stroke: color("evaluation"), width: 1.5, points: { show: true, size: 6, fill: color("evaluation") } }),
  ], small);
  shownRewards = [];
  chart("rate", 150, [line("learning rate", small)], small);
  chart("norm", 150, [line("gradient norm", small)], small);
  chart("speed", 150, [line("tokens/s", whole)], whole);
  chart("busy", 150, [line("busy, %", whole)], whole);
  chart("heat", 150, [line("°C", whole)], whole);
  chart("power", 150, [line("watts", whole)], whole);
}

function fillCharts() {
  const p = run.points;
  // Points of evaluations stand between those of steps where these were thinned out.
  const at = new Map(run.evaluations.map((e) => [e.step, e.loss]));
  const own = new Map(p.step.map((step, i) => [step, i]));
  const steps = [...new Set([...p.step, ...at.keys()])].sort((a, b) => a - b);
  const smoothed = smooth(p.loss);
  const pick = (values) => steps.map((s) => own.has(s) ? values[own.get(s)] : null);
  charts.loss.setData([steps, pick(p.loss), pick(smoothed), steps.map((s) => at.has(s) ? at.get(s) : null)]);
  fillRewards();
  charts.rate.setData([p.step, p.rate]);
  charts.norm.setData([p.step, p.norm]);
  charts.speed.setData([p.step, p.speed.map((v) => v || null)]);
  for (const [id, key] of [["busy", "gpu_utilization"], ["heat", "gpu_temperature"], ["power", "gpu_power"]]) {
    const measured = run.readings.filter((m) => m[key] != null);
    const card = $("chart-" + id).parentElement;
    if (card.hidden && measured.length > 0) {
      card.hidden = false;
      fitCharts(); // it had no width
    }
    charts[id].setData([measured.map((m) => m.step), measured.map((m) => m[key])]);
  }
  const newest = run.readings[run.readings.length - 1];
  if (newest && newest.gpu_memory_total) {
    text("memory-note", `GPU: ${bytes(newest.gpu_memory_used)} of ${bytes(newest.gpu_memory_total)} in use`);
  }
}

// Rewards stand beside the loss: of compared completions, or of sampled ones.
function fillRewards() {
  const all = run.rewards, card = $("chart-rewards").parentElement;
  if (all.length === 0) return;
  if (card.hidden) {
    card.hidden = false;
    $("margin").parentElement.hidden = false;
    $("chart-loss").parentElement.className = "card half";
    document.querySelector(".numbers").classList.add("seven");
    fitCharts();
  }
  const names = Object.keys(rewardColors).filter((name) => all.some((r) => r[name] != null));
  if (names.join() !== shownRewards.join()) {
    shownRewards = names;
    chart("rewards", innerWidth <= 520 ? 230 : 290, names.flatMap((name) => {
      const stroke = color(rewardColors[name]);
      return [line(name, small, { stroke, width: 2 }), line(name + ", evaluation", small, { stroke, width: 0, points: { show: true, size: 6, fill: stroke } })];
    }), small);
  }
  const steps = [...new Set(all.map((r) => r.step))].sort((a, b) => a - b);
  const pick = (name, evaluated) => {
    const at = new Map(all.filter((r) => r.evaluated === evaluated).map((r) => [r.step, r[name]]));
    return steps.map((s) => at.get(s) ?? null);
  };
  charts.rewards.setData([steps, ...names.flatMap((name) => [pick(name, false), pick(name, true)])]);
}

function fitCharts() {
  for (const [id, u] of Object.entries(charts)) {
    const width = $("chart-" + id).clientWidth;
    if (width !== u.width) u.setSize({ width, height: u.height });
  }
}

// Everything that changes with a step.
function draw() {
  if (!run) return;
  const p = run.points, last = p.step.length - 1;
  const share = run.steps ? run.step / run.steps : 0;
  $("done").style.width = 100 * share + "%";
  const bar = $("done").parentElement;
  bar.setAttribute("aria-valuemax", run.steps);
  bar.setAttribute("aria-valuenow", run.step);
  text("steps", run.steps ? `step ${whole(run.step)} of ${whole(run.steps)} · ${Math.floor(100 * share)} %` : "");
  text("epochs", run.steps ? `epoch ${fixed(run.epoch, 2)} of ${fixed(run.epochs, 2)}` : "");
  const w = run.work;
  text("work", w ? `${w.what}: ${w.bytes ? bytes(w.done) + " of " + bytes(w.total) : whole(w.done) + " of " + whole(w.total)}` : "");
  drawTime();
  if (last >= 0) {
    text("loss", loss(p.loss[last]));
    text("rate", small(p.rate[last]));
    text("norm", small(p.norm[last]));
    text("speed", p.speed[last] ? whole(p.speed[last]) : "–");
    const s = smooth(p.loss);
    text("loss-note", `smoothed ${loss(s[last])}`);
  }
  if (run.evaluations.length > 0) {
    const best = run.evaluations.reduce((a, b) => b.loss < a.loss ? b : a);
    text("eval", loss(run.evaluations[run.evaluations.length - 1].loss));
    text("eval-note", `best ${loss(best.loss)} at step ${whole(best.step)}`);
  }
  const judged = run.rewards.findLast((r) => r.margin != null || r.reward != null);
  if (judged) {
    text("margin-name", judged.reward == null ? "reward margin" : "reward");
    text("margin", small(judged.reward ?? judged.margin));
    text("margin-note", judged.accuracy == null ? "" : `above 0 in ${fixed(100 * judged.accuracy, 0)} % of pairs`);
  }
  fillCharts();
  const ends = run.status !== "training" && run.status !== "preparing";
  document.title = ends ? `${run.status} · ${shortName()}` : `${Math.floor(100 * share)} % · ${shortName()}`;
}

function drawTime() {
  if (!run || !run.began) return;
  const took = (run.ended || Date.now() / 1000 - clockAhead) - run.began;
  text("time", duration(took) + (run.status === "training" && run.left > 0 ? ` · about ${duration(run.left)} left` : ""));
}

// A base is often a long path: its end says which one it is.
const shortName = () => run.name ? run.name.replace(/\/+$/, "").split("/").slice(-2).join("/") : "qlora";

// What a new picture of the run, or its end, changes.
function drawAll() {
  text("name", shortName());
  $("name").title = run.name;
  text("device", run.device + (run.output ? ` · ${run.output}` : ""));
  drawStatus();
  const hues = [212, 190, 265, 340, 28, 150, 48, 0, 100];
  const total = run.memory ? run.memory.reduce((n, m) => n + m.bytes, 0) : 0;
  $("memory-card").hidden = total === 0;
  if (total > 0) {
    text("memory-total", bytes(total));
    $("memory-bar").replaceChildren(...run.memory.map((m, i) => {
      const piece = element("i");
      piece.style.flexGrow = m.bytes;
      piece.style.background = `hsl(${hues[i % hues.length]} 60% 52%)`;
      piece.title = `${m.name} ${bytes(m.bytes)}`;
      return piece;
    }));
    $("memory-list").replaceChildren(...run.memory.map((m, i) => {
      const item = element("li"), dot = element("i");
      dot.style.background = `hsl(${hues[i % hues.length]} 60% 52%)`;
      item.append(dot, `${m.name.replaceAll("_", " ")} `, element("strong", bytes(m.bytes)), element("span", ` ${fixed(100 * m.bytes / total, 1)} %`, "muted"));
      return item;
    }));
  }
  $("settings").replaceChildren(...(run.settings || []).map((s) => {
    const row = element("tr");
    row.append(element("td", s.name), element("td", s.value));
    return row;
  }));
  drawLog();
  drawSamples();
}

function drawStatus() {
  text("status", run.status);
  $("status").className = "pill " + run.status;
  const ends = run.status !== "training" && run.status !== "preparing";
  $("outcome").hidden = !ends;
  $("outcome").className = "banner " + run.status;
  text("outcome", ends ? `The run has ${run.status === "finished" ? "finished" : run.status === "failed" ? "failed" : "been interrupted"}${run.text ? ": " + run.text : ""}. This page stays as it is.` : "");
}

function drawLog() {
  $("log").replaceChildren(...run.log.slice(-200).reverse().map((e) => {
    const item = element("li");
    const at = element("time", e.at ? new Date(e.at * 1000).toLocaleTimeString([], { hour12: false }) : "before");
    item.append(at, element("span", e.text));
    return item;
  }));
}

let shownStep = null; // of the samples; null: the newest

function drawSamples() {
  const steps = [...new Set(run.samples.map((s) => s.step))];
  $("samples-card").hidden = steps.length === 0;
  if (steps.length === 0) return;
  const newest = steps[steps.length - 1];
  if (!steps.includes(shownStep)) shownStep = null;
  $("samples-step").replaceChildren(...steps.reverse().map((s) => {
    const option = element("option", `step ${whole(s)}` + (s === newest ? ", the newest" : ""));
    option.value = s;
    option.selected = s === (shownStep ?? newest);
    return option;
  }));
  $("samples").replaceChildren(...run.samples.filter((s) => s.step === (shownStep ?? newest)).map((s) => {
    const item = element("li"), all = element("p");
    all.append(s.prompt, element("mark", s.completion));
    item.append(all);
    if (s.expected) item.append(element("p", s.expected.trim() === s.completion.trim() ? "as in the record" : `in the record: ${s.expected.trim()}`, "muted"));
    return item;
  }));
}

// Events.

let due = false;
function drawSoon() {
  if (due) return;
  due = true;
  setTimeout(() => requestAnimationFrame(() => { due = false; draw(); }), 100);
}

const on = {
  run(m) {
    run = m;
    clockAhead = Date.now() / 1000 - m.now;
    for (const name of ["step", "loss", "norm", "rate", "speed"]) run.points[name] ||= [];
    run.evaluations ||= []; run.rewards ||= []; run.readings ||= []; run.samples ||= []; run.log ||= [];
    drawAll();
    if (m.ended) source.close();
  },
  step(m) {
    Object.assign(run, { step: m.step, epoch: m.epoch, left: m.left, work: null });
    for (const name of ["step", "loss", "norm", "rate", "speed"]) run.points[name].push(m[name]);
  },
  work(m) { run.work = m; },
  evaluation(m) { run.evaluations.push(m); },
  rewards(m) { run.rewards.push(m); },
  reading(m) { run.readings.push(m); },
  samples(m) { run.samples.push(...m); drawSamples(); },
  log(m) { run.log.push(m); drawLog(); },
  end(m) {
    Object.assign(run, { status: m.status, text: m.text, ended: m.at, work: null });
    drawStatus();
    source.close(); // the server goes with the run
  },
};

let source;
function listen() {
  source = new EventSource("/events");
  source.onopen = () => { $("lost").hidden = true; };
  source.onerror = () => {
    if (run && run.ended) return;
    text("lost", `No connection to the run since ${new Date().toLocaleTimeString([], { hour12: false })}: it was stopped, or the network was. Trying again.`);
    if ($("lost").hidden && run) $("status").className = "pill lost";
    $("lost").hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
  for (const [name, apply] of Object.entries(on)) {
    source.addEventListener(name, (e) => { apply(JSON.parse(e.data)); drawSoon(); });
  }
}

$("samples-step").addEventListener("change", (e) => { shownStep = +e.target.value; drawSamples(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawCharts(); draw(); });
addEventListener("resize", fitCharts);
setInterval(drawTime, 1000);
drawCharts();
listen();
