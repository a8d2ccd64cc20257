// The page: what is chosen here is asked of the server, and what it answers is shown; nothing is computed here.

import { Graph, differs, edgeId, words } from "./graph.js";

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const state = {
  model: null, picture: null, own: "", graph: null, // the id of an edited graph
  done: [], // [name, value] in the order they were set
  answer: null, start: 0, seed: 0,
  draft: null, // the graph as it is edited: {edges: [[cause, effect]], hidden: [[one, other]]}
};
let graph = null;

// --- the server -------------------------------------------------------------------------------------------------------

class Said extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

async function ask(path, body, options = {}) {
  const given = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  let answer;
  try {
    answer = await fetch(path, { ...given, ...options });
  } catch {
    throw new Said(0, "the studio does not answer; is it still running?");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Said(answer.status, told.detail ?? `the studio answered ${answer.status}`);
  return told;
}

function complain(error) {
  if (error && !(error instanceof Said)) console.error(error);
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

const tell = (text) => { $("status").textContent = text; };

// Ask for one thing at a time, and of what came meanwhile for the last alone.
function latest(task) {
  let busy = false, again = false;
  return async function run() {
    if (busy) { again = true; return; }
    busy = true;
    try { await task(); } catch (error) { complain(error); } finally { busy = false; }
    if (again) { again = false; run(); }
  };
}

// --- what is asked ----------------------------------------------------------------------------------------------------

const doing = () => state.done.map(([name, value]) => `${name}=${value}`);
const question = () => ({ picture: state.picture, do: doing(), graph: state.graph });

const answer = latest(async () => {
  if (!state.picture) return;
  document.body.classList.add("waiting");
  try {
    const asked = doing().join();
    const found = await ask("api/counterfactual", { ...question(), detail: $("detail").checked });
    state.answer = found;
    complain(null);
    if (found.version !== state.model.version) await renewed();
    show(found, asked);
  } catch (error) {
    if (error.status === 404 && state.graph) { ownGraph(); }
    throw error;
  } finally {
    document.body.classList.remove("waiting");
  }
});

// A checkpoint brought another model: what is set stays, a graph that was edited is forgotten.
async function renewed() {
  state.model = await ask("api/model");
  showGraph(state.model.graph, null);
}

const along = latest(async () => {
  const name = $("along-name").value;
  if (!state.picture || !name) return;
  const found = await ask("api/along", { picture: state.picture, attribute: name, do: doing(), graph: state.graph });
  $("along").replaceChildren(...found.images.map((src, at) => make("figure", {},
    make("img", { src, alt: `${words(name)} ${found.labels[at]}` }), make("figcaption", { textContent: found.labels[at] }))));
});

let waiting = 0;
function changed() {
  controls();
  chips();
  answer();
  clearTimeout(waiting);
  waiting = setTimeout(along, 250); // not at each step of a slider
}

function put(name, value) {
  const at = state.done.findIndex(([other]) => other === name);
  if (value === null) { if (at >= 0) state.done.splice(at, 1); }
  else if (at >= 0) state.done[at][1] = value;
  else state.done.push([name, value]);
  changed();
}

// --- what is shown ----------------------------------------------------------------------------------------------------

function show(found, asked) {
  const set = new Set(state.done.map(([name]) => name));
  for (const id of ["image", "drawn", "answer"]) $(id).src = found[id];
  $("truth-figure").hidden = !found.truth;
  if (found.truth) $("truth").src = found.truth;
  $("difference-truth").disabled = !found.truth;
  if (!found.truth && $("difference").value === "truth") $("difference").value = "";
  difference();
  const did = state.done.map(([name, value]) => `${words(name)} = ${spoken(name, value)}`).join(", ");
  $("answer-caption").textContent = did ? `do(${did})` : "nothing is set yet";
  $("answer").alt = did ? `The picture under do(${did})` : "The picture, as nothing is set";
  $("image").alt = "The picture as it is";
  $("drawn").alt = "The picture as the model draws it";
  $("truth").alt = "The true answer";
  $("peek").src = found.answer;
  $("save").href = found.answer;
  $("save-image").href = found.image;
  $("command").textContent = found.command + (state.graph ? "   # of the model's own graph" : "");
  $("python").textContent = found.python;
  values(found, set);
  table();
  graph.mark(found.before, found.after, set);
  const was = new Map(found.before.map((value) => [value.name, value]));
  const moved = found.after.filter((v) => !set.has(v.name) && differs(was.get(v.name), v));
  tell(did ? `do(${did}): ${moved.map((v) => `${words(v.name)} ${was.get(v.name).said} to ${v.said}`).join(", ") || "nothing else changes"}` : "");
  document.body.dataset.asked = asked;
  document.body.dataset.answers = Number(document.body.dataset.answers ?? 0) + 1;
}

function values(found, set) {
  const was = new Map(found.before.map((value) => [value.name, value]));
  for (const value of found.after) {
    const item = document.querySelector(`#attributes li[data-name="${CSS.escape(value.name)}"]`), old = was.get(value.name);
    const moved = differs(old, value);
    item.classList.toggle("moved", moved && !set.has(value.name));
    const change = item.querySelector(".change");
    change.replaceChildren(...(moved ? [`${old.said} → `, make("b", { textContent: value.said })] : [value.said]));
    const slider = item.querySelector("input[type=range]");
    if (slider && !set.has(value.name)) slider.value = value.value;
    if (slider) slider.setAttribute("aria-valuetext", value.said);
  }
}

function table() {
  const found = state.answer;
  if (!found || !$("values-details").open) return;
  const columns = [["as read", found.before], ["then", found.after], ["then, in truth", found.true], ["label", found.labels]].filter(([, of]) => of);
  $("values").tHead.replaceChildren(make("tr", {}, make("th", { textContent: "attribute", scope: "col" }), ...columns.map(([heading]) => make("th", { textContent: heading, scope: "col" }))));
  $("values").tBodies[0].replaceChildren(...found.after.map((value, at) => make("tr", {}, make("td", { textContent: words(value.name) }), ...columns.map(([, of]) => make("td", { textContent: of[at].said })))));
}

function difference() {
  const from = $("difference").value, source = from === "truth" ? state.answer?.truth : state.answer?.image;
  $("answer-frame").classList.toggle("differs", Boolean(from));
  $("answer-base").hidden = !from;
  if (from && source) $("answer-base").src = source;
}

const facts = (name) => state.model.attributes.find((attribute) => attribute.name === name);
function spoken(name, value) {
  return facts(name).kind === "binary" ? { 0: "no", 1: "yes" }[value] ?? value : value;
}

function chips() {
  const none = make("span", { className: "none", textContent: "Set an attribute to ask." });
  $("chips").replaceChildren(...(state.done.length ? state.done.map(([name, value]) => {
    const text = `do(${words(name)} = ${spoken(name, value)})`;
    const chip = make("button", { type: "button", textContent: `${text} ×`, title: "Undo this one" });
    chip.setAttribute("aria-label", `Undo ${text}`);
    chip.onclick = () => { put(name, null); $("undo").disabled ? $("controls").focus() : $("undo").focus(); };
    return chip;
  }) : [none]));
  $("undo").disabled = $("clear").disabled = !state.done.length;
}

function controls() {
  const done = new Map(state.done);
  for (const item of $("attributes").children) {
    const name = item.dataset.name, value = done.has(name) ? String(done.get(name)) : "";
    item.classList.toggle("set", done.has(name));
    for (const radio of item.querySelectorAll("input[type=radio]")) radio.checked = radio.value === value;
    const select = item.querySelector("select"), release = item.querySelector(".release");
    if (select) select.value = value;
    if (release) release.hidden = !done.has(name);
  }
}

function build(attribute, at) {
  const { name } = attribute, unit = attribute.unit ? ` (${attribute.unit})` : "";
  const label = make("span", { className: "name", id: `attribute-${at}`, textContent: words(name) + unit });
  const item = make("li", {}, make("div", {}, label, make("div", { className: "change" })));
  item.dataset.name = name;
  if (attribute.kind === "binary") {
    const choices = [["", "as it is"], ["0", "no"], ["1", "yes"]].map(([value, text]) => {
      const radio = make("input", { type: "radio", name: `do-${at}`, value, checked: !value });
      radio.onchange = () => put(name, value === "" ? null : value);
      return make("label", {}, radio, text);
    });
    const group = make("div", { className: "switch" }, ...choices);
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-labelledby", label.id);
    item.append(group);
  } else if (attribute.kind === "categorical") {
    const select = make("select", {}, make("option", { value: "", textContent: "as it is" }), ...attribute.categories.map((word) => make("option", { value: word, textContent: word })));
    select.setAttribute("aria-labelledby", label.id);
    select.onchange = () => put(name, select.value || null);
    item.append(select);
  } else {
    const release = make("button", { type: "button", className: "release", textContent: "as it is", hidden: true });
    release.setAttribute("aria-label", `Leave ${words(name)} as it is`);
    release.onclick = () => put(name, null);
    const slider = make("input", { type: "range", min: attribute.low, max: attribute.high, step: "any" });
    slider.setAttribute("aria-labelledby", label.id);
    const step = (attribute.high - attribute.low) / 50;
    slider.onkeydown = (event) => { // a step of "any" is one for the keys, whatever the range
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
      if (!by) return;
      event.preventDefault();
      slider.value = Number(slider.value) + by * step;
      slider.oninput();
    };
    slider.oninput = () => put(name, String(Math.min(attribute.high, Math.max(attribute.low, Number(Number(slider.value).toPrecision(4))))));
    const end = (value) => make("span", { className: "ends", textContent: Number(value.toPrecision(3)) });
    item.append(release, make("div", { className: "wide-control" }, end(attribute.low), slider, end(attribute.high)));
  }
  return item;
}

// --- pictures ---------------------------------------------------------------------------------------------------------

function choose(picture, caption) {
  state.picture = picture;
  $("image-caption").textContent = caption;
  for (const button of $("tests").children) button.setAttribute("aria-pressed", button.dataset.id === picture);
  answer();
  along();
}

async function tests() {
  const many = Math.max(4, Math.min(12, Math.floor((document.body.clientWidth - 60) / 62)));
  const found = await ask(`api/pictures?start=${state.start}&n=${many}`);
  $("tests").replaceChildren(...found.map((picture) => {
    const button = make("button", { type: "button", title: picture.caption }, make("img", { src: picture.image, alt: `${picture.id}: ${picture.caption}` }));
    button.dataset.id = picture.id;
    button.setAttribute("aria-pressed", picture.id === state.picture);
    button.onclick = () => choose(picture.id, `test picture ${picture.id.slice(5)}`);
    return button;
  }));
  $("earlier").disabled = state.start === 0;
  $("later").disabled = state.start + many >= state.model.tests;
  return { found, many };
}

async function turn(by) {
  try {
    state.start = Math.max(0, state.start + by * $("tests").children.length);
    await tests();
  } catch (error) { complain(error); }
}

async function upload(file) {
  if (!file) return;
  try {
    const most = state.model?.upload ?? Infinity;
    if (file.size > most) throw new Said(413, `${file.name} is too large; at most ${Math.floor(most / 2 ** 20)} MB are taken`);
    const { id } = await ask("api/pictures", undefined, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } });
    complain(null);
    choose(id, `your own: ${file.name}`);
    tell("your picture is shown");
  } catch (error) {
    complain(error);
  }
  $("file").value = "";
}

function drops() {
  let inside = 0;
  const files = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  addEventListener("dragenter", (event) => { if (files(event)) { inside += 1; $("drop").hidden = false; event.preventDefault(); } });
  addEventListener("dragleave", () => { inside = Math.max(0, inside - 1); if (!inside) $("drop").hidden = true; });
  addEventListener("dragover", (event) => { if (files(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    inside = 0;
    $("drop").hidden = true;
    upload(event.dataTransfer.files[0]);
  });
}

// --- see beside do ----------------------------------------------------------------------------------------------------

const WHO = { seen: "seen in the data", done: "done, by the model", true: "done, in truth" };

async function see() {
  $("see").disabled = true;
  try {
    const given = doing(), found = await ask("api/see", { given, graph: state.graph });
    complain(null);
    const set = new Set(state.done.map(([name]) => name)), all = found.found[0], others = found.found.slice(1);
    const at = (j, mean) => { const [low, high] = found.ranges[j]; return `${(100 * Math.min(1, Math.max(0, (mean - low) / (high - low || 1)))).toFixed(1)}%`; };
    const place = (tag, className, j, mean, title) => { const mark = make(tag, { className, title }); mark.style.left = at(j, mean); return mark; };
    const rows = found.names.flatMap((name, j) => set.has(name) ? [] : [
      make("span", { textContent: words(name) }),
      make("div", { className: "track" }, place("i", "", j, all.means[j], `all: ${all.means[j].toFixed(2)}`),
        ...others.map((one) => place("b", one.who, j, one.means[j], `${WHO[one.who]}: ${one.means[j].toFixed(2)}`)),
        make("span", { className: "unseen", textContent: [all, ...others].map((one) => `${WHO[one.who] ?? "all"} ${one.means[j].toFixed(2)}`).join(", ") })),
    ]);
    const groups = others.filter((one) => one.images.length).map((one) => make("div", {},
      make("span", {}, make("span", { className: `dot ${one.who}` }), ` ${WHO[one.who]}`),
      make("div", { className: "faces" }, ...one.images.map((src, k) => make("img", { src, alt: `${WHO[one.who]}, ${k + 1}` })))));
    $("see-note").textContent = `${given.join(", ")}: means of the other attributes, in ${others[0].rows.toLocaleString("en")} rows that have it and in rows set to it. Dotted: all rows. Where grey and orange part, what goes together is not what follows.`;
    $("seen").replaceChildren(make("div", { className: "groups" }, ...groups), make("div", { className: "means" }, ...rows));
  } catch (error) { complain(error); } finally { $("see").disabled = false; }
}

// --- the graph, edited ------------------------------------------------------------------------------------------------

const draftOf = (facts) => ({
  edges: facts.edges.filter((e) => !e.hidden).map((e) => [e.cause, e.effect]),
  hidden: facts.edges.filter((e) => e.hidden).map((e) => [e.cause, e.effect]),
});

function drawDraft() {
  const shown = state.shown, known = new Map(shown.edges.map((edge) => [edgeId(edge), edge]));
  const bare = (cause, effect, hidden) => known.get(edgeId({ cause, effect, hidden })) ?? { cause, effect, hidden, strength: 0.4, evidence: "" };
  const edges = [...state.draft.edges.map(([a, b]) => bare(a, b, false)), ...state.draft.hidden.map(([a, b]) => bare(a, b, true))];
  graph.show({ ...shown, edges });
  if (state.answer) graph.mark(state.answer.before, state.answer.after, new Set(state.done.map(([name]) => name)));
  const act = (text, label, task) => {
    const button = make("button", { type: "button", textContent: text, onclick: () => { task(); edited(); } });
    button.setAttribute("aria-label", label);
    return button;
  };
  $("edges").replaceChildren(...edges.map((edge) => {
    const pairs = edge.hidden ? state.draft.hidden : state.draft.edges;
    const place = pairs.findIndex(([a, b]) => a === edge.cause && b === edge.effect);
    const text = `${words(edge.cause)} ${edge.hidden ? "↔" : "→"} ${words(edge.effect)}`;
    const strength = edge.hidden ? "something hidden causes both" : edge.evidence || `effect ${edge.strength.toFixed(2)}`;
    const item = make("li", {}, make("span", {}, text, make("small", { textContent: strength })));
    item.dataset.id = edgeId(edge);
    if (!edge.hidden) item.append(act("Turn", `Turn ${text}`, () => { pairs[place] = [edge.effect, edge.cause]; }));
    item.append(act("Cut", `Cut ${text}`, () => { pairs.splice(place, 1); }));
    return item;
  }));
}

function edited() {
  drawDraft();
  $("fit").disabled = JSON.stringify(state.draft) === JSON.stringify(draftOf(state.shown));
  $("own").disabled = $("fit").disabled && !state.graph;
}

function showGraph(facts, id) {
  state.shown = facts;
  state.graph = id;
  state.draft = draftOf(facts);
  $("verdict").hidden = !id;
  if (id) $("verdict").textContent = `Your graph, fitted in ${facts.seconds.toFixed(1)} s. Of it ${facts.verdict}.`;
  edited();
}

function ownGraph() {
  showGraph(state.model.graph, null);
  changed();
}

async function fit() {
  $("fit").disabled = true;
  $("fit").textContent = "Fitting…";
  try {
    const facts = await ask("api/graphs", state.draft);
    complain(null);
    showGraph(facts, facts.id);
    tell(`the mechanisms are fitted along your graph, in ${facts.seconds.toFixed(1)} seconds`);
    changed();
  } catch (error) { complain(error); $("fit").disabled = false; } finally { $("fit").textContent = "Fit the mechanisms"; }
}

// --- training ---------------------------------------------------------------------------------------------------------

let lastStep = -1;
async function training() {
  let found;
  try { found = await ask("api/training"); } catch { setTimeout(training, 10_000); return; }
  $("training").hidden = !found.log.length;
  $("state").hidden = !found.running;
  $("state").textContent = found.running ? `training: step ${found.step} of ${found.steps}` : "";
  $("training-step").textContent = `step ${found.step.toLocaleString("en")} of ${found.steps.toLocaleString("en")}`;
  const terms = [...new Set(found.log.flatMap((entry) => Object.keys(entry)))].filter((term) => term !== "step");
  $("curves").replaceChildren(...terms.map((term) => curve(term, found.log.filter((entry) => term in entry).map((entry) => [entry.step, entry[term]]))));
  const slider = $("sample-at"), newest = slider.value === slider.max;
  $("samples").hidden = !found.samples.length;
  slider.max = Math.max(0, found.samples.length - 1);
  slider.hidden = found.samples.length < 2;
  if (newest) slider.value = slider.max;
  slider.oninput = () => {
    const step = found.samples[slider.value];
    $("sample-step").textContent = step;
    if (step !== undefined) $("sample").src = `api/training/samples/${step}`;
  };
  if (found.samples.length && $("sample-step").textContent !== String(found.samples[slider.value])) slider.oninput();
  if (found.running || !state.model) {
    if (!state.model) await begin();
    else if (found.step !== lastStep && lastStep >= 0) answer(); // the model may be another by now
    setTimeout(training, 5000);
  }
  lastStep = found.step;
}

function curve(term, points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const line = points.map(([x, y]) => `${((100 * (x - x0)) / (x1 - x0 || 1)).toFixed(2)},${(58 - (54 * (y - y0)) / (y1 - y0 || 1)).toFixed(2)}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  svg.setAttribute("viewBox", "0 0 100 60");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${term}, from ${ys[0].toPrecision(3)} to ${ys.at(-1).toPrecision(3)}`);
  path.setAttribute("points", line.join(" "));
  svg.append(path);
  return make("figure", {}, make("figcaption", { title: term }, make("span", { textContent: words(term) }), make("b", { textContent: ys.at(-1).toPrecision(3) })), svg);
}

// --- copying ----------------------------------------------------------------------------------------------------------

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    tell("copied");
  } catch {
    button.textContent = "Select and copy by hand";
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}

// --- the beginning ----------------------------------------------------------------------------------------------------

async function begin() {
  try {
    state.model = await ask("api/model");
  } catch (error) {
    complain(error);
    $("model-facts").textContent = "";
    return;
  }
  complain(null);
  const { model } = state;
  document.title = `${model.name} · ccigkit studio`;
  $("model-name").textContent = model.name;
  $("model-facts").textContent = `${model.attributes.length} attributes, ${model.graph.edges.length} edges, pictures of ${model.width} × ${model.height}${model.note ? `; ${model.note}` : ""}`;
  $("pages").hidden = !model.pages.length;
  $("pages").replaceChildren(...model.pages.map((title, number) => make("a", { href: `pages/${number}`, textContent: title })));
  $("attributes").replaceChildren(...model.attributes.map(build));
  const options = () => model.attributes.map(({ name }) => make("option", { value: name, textContent: words(name) }));
  for (const id of ["along-name", "add-cause", "add-effect"]) $(id).replaceChildren(...options());
  $("add-effect").selectedIndex = Math.min(1, model.attributes.length - 1);
  const busiest = model.attributes.map(({ name }) => [model.graph.edges.filter((e) => e.cause === name).length, name]).sort((a, b) => b[0] - a[0])[0];
  $("along-name").value = busiest[1];
  graph ??= new Graph($("graph"), (id) => {
    graph.choose(id);
    for (const item of $("edges").children) {
      item.classList.toggle("chosen", item.dataset.id === id);
      if (item.dataset.id === id && !$("editor").hidden) item.scrollIntoView({ block: "nearest" });
    }
  });
  showGraph(model.graph, null);
  $("edit").hidden = !model.table;
  $("see").disabled = false;
  $("tests").hidden = $("earlier").hidden = $("later").hidden = !model.tests;
  chips();
  if (model.tests) {
    try {
      const { found } = await tests();
      choose(found[0].id, "test picture 0");
    } catch (error) { complain(error); }
  } else {
    choose(`new-${state.seed}`, "a new picture");
  }
}

$("earlier").onclick = () => turn(-1);
$("later").onclick = () => turn(1);
$("new").onclick = () => { state.seed += 1; choose(`new-${state.seed}`, `new picture ${state.seed}`); };
$("file").onchange = () => upload($("file").files[0]);
$("undo").onclick = () => { state.done.pop(); changed(); };
$("clear").onclick = () => { state.done = []; changed(); $("controls").focus(); };
$("difference").onchange = difference;
$("values-details").ontoggle = table;
$("detail").onchange = () => answer();
$("along-name").onchange = () => along();
$("see").onclick = see;
$("edit").onclick = () => {
  $("editor").hidden = !$("editor").hidden;
  $("edit").setAttribute("aria-expanded", String(!$("editor").hidden));
  $("edit").textContent = $("editor").hidden ? "Edit" : "Done";
};
$("add").onsubmit = (event) => {
  event.preventDefault();
  const pair = [$("add-cause").value, $("add-effect").value], kind = $("add-kind").value === "hidden" ? "hidden" : "edges";
  if (!state.draft[kind].some(([a, b]) => a === pair[0] && b === pair[1])) state.draft[kind].push(pair);
  edited();
};
$("fit").onclick = fit;
$("own").onclick = ownGraph;
$("copy-graph").onclick = () => copy(state.shown.toml, $("copy-graph"));
for (const button of document.querySelectorAll("[data-copy]")) button.onclick = () => copy($(button.dataset.copy).textContent, button);
// Where the answer is out of sight beside the attributes, as on a telephone, a small one stays in the corner.
new IntersectionObserver(([seen]) => { $("peek").hidden = seen.isIntersecting || !state.answer; }).observe($("answer-frame"));
drops();
await begin();
training();
