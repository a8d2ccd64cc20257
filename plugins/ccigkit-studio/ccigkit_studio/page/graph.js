// The causal graph: Cytoscape draws it, at the places that ccigkit's own layout gives.

const INCH = 82; // pixels
const SMALLEST = 0.62; // of the scale at which names are as large as other text

export class Graph {
  constructor(container, chosen) {
    this.container = container;
    this.cy = window.cytoscape({
      container, autoungrabify: false, userZoomingEnabled: false, userPanningEnabled: false, boxSelectionEnabled: false,
      selectionType: "single", minZoom: 0.2, maxZoom: 1.05,
    });
    this.cy.on("tap", "edge", (event) => chosen(event.target.id()));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.cy.style(styles()));
    new ResizeObserver(() => this.fit()).observe(container.parentElement);
  }

  // Draw a graph as the API gives it.
  show(graph) {
    const { places, edges } = graph;
    const nodes = Object.entries(places).map(([name, [x, y]]) => ({
      data: { id: `n:${name}`, name, label: words(name), wide: wide(name) },
      position: { x: x * INCH, y: y * INCH },
    }));
    const arrows = edges.map((edge) => ({ data: { ...arrow(edge, places), id: edgeId(edge) }, classes: edge.hidden ? "hidden" : "" }));
    this.edges = edges;
    this.cy.elements().remove();
    this.cy.style(styles());
    this.cy.add([...nodes, ...arrows]);
    [this.width, this.height] = [graph.width * INCH, graph.height * INCH];
    this.fit();
  }

  // Say what was set and what followed.
  mark(before, after, set) {
    const was = new Map(before.map((value) => [value.name, value]));
    const cut = [];
    this.cy.batch(() => {
      for (const value of after) {
        const node = this.cy.getElementById(`n:${value.name}`), old = was.get(value.name);
        const moved = differs(old, value);
        node.data("label", `${words(value.name)}\n${moved ? `${old.said} → ${value.said}` : value.said}`);
        node.data("wide", Math.max(node.data("wide"), moved ? 24 + 7 * (old.said.length + value.said.length + 3) : 0));
        node.classes(set.has(value.name) ? "set" : moved ? "moved" : "");
      }
      for (const edge of this.edges) {
        const gone = set.has(edge.effect) || (edge.hidden && set.has(edge.cause));
        if (gone) cut.push(edge);
        const source = this.cy.getElementById(`n:${edge.cause}`);
        this.cy.getElementById(edgeId(edge)).classes(
          [edge.hidden ? "hidden" : "", gone ? "cut" : source.hasClass("set") || source.hasClass("moved") ? "carries" : ""].join(" "));
      }
    });
    const causes = this.edges.map((e) => `${e.cause} ${e.hidden ? "shares a hidden cause with" : "causes"} ${e.effect}`);
    const cuts = cut.length ? `; cut: ${cut.map((e) => `${e.cause} to ${e.effect}`).join(", ")}` : "";
    this.container.setAttribute("aria-label", `The causal graph: ${causes.join(", ")}${cuts}`);
    this.container.dataset.cut = cut.map((e) => `${e.cause}->${e.effect}`).join(" ");
  }

  choose(id) {
    this.cy.edges().removeClass("chosen");
    if (id) this.cy.getElementById(id).addClass("chosen");
  }

  // As large as there is room, but never too small to read: then it can be scrolled to the side.
  fit() {
    const room = this.container.parentElement.clientWidth;
    if (!this.height || !room) return;
    const scale = Math.min(1.05, Math.max(SMALLEST, room / this.width));
    this.container.style.width = `${Math.max(room, Math.ceil(scale * this.width))}px`;
    this.container.style.height = `${Math.ceil(scale * this.height) + 24}px`;
    this.cy.resize();
    this.cy.fit(undefined, 8);
  }
}

export const edgeId = (edge) => `${edge.hidden ? "h" : "e"}:${JSON.stringify([edge.cause, edge.effect])}`;
export const words = (name) => name.replaceAll("_", " ");
export const differs = (old, value) => Boolean(old) && old.said !== value.said;
const wide = (name) => 24 + 7.2 * Math.max(words(name).length, 11); // room for 0.12 → 0.34

// An arrow's way as Cytoscape has it: points beside the straight line from cause to effect.
function arrow(edge, places) {
  const data = { source: `n:${edge.cause}`, target: `n:${edge.effect}`, width: edge.hidden ? 1.6 : 1.3 + 2.2 * Math.min(1, Math.abs(edge.strength)) };
  const [from, to] = [places[edge.cause], places[edge.effect]], between = (edge.way ?? []).slice(1, -1);
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]], length = Math.hypot(dx, dy);
  if (edge.hidden) return { ...data, bend: [Math.abs(dx) * 9 + 18], at: [0.5] };
  if (!between.length || !length) return { ...data, bend: [0], at: [0.5] };
  const along = between.map(([x, y]) => ((x - from[0]) * dx + (y - from[1]) * dy) / length ** 2);
  const beside = between.map(([x, y]) => (INCH * ((y - from[1]) * dx - (x - from[0]) * dy)) / length);
  return { ...data, at: along, bend: beside };
}

function styles() {
  const css = getComputedStyle(document.documentElement), of = (name) => css.getPropertyValue(name).trim();
  const family = getComputedStyle(document.body).fontFamily;
  return [
    { selector: "node", style: {
      shape: "round-rectangle", width: "data(wide)", height: 44, label: "data(label)", "text-wrap": "wrap", "text-valign": "center",
      "text-halign": "center", "font-size": 12, "font-family": family, "line-height": 1.25, color: of("--ink"),
      "background-color": of("--wash"), "border-width": 1.5, "border-color": of("--line"), "overlay-opacity": 0 } },
    { selector: "node.moved", style: { "background-color": of("--accent-wash"), "border-color": of("--accent"), "border-width": 2 } },
    { selector: "node.set", style: { "background-color": of("--set-wash"), "border-color": of("--set"), "border-width": 3, "font-weight": 600 } },
    { selector: "edge", style: {
      width: "data(width)", "curve-style": "unbundled-bezier", "control-point-distances": "data(bend)", "control-point-weights": "data(at)",
      "line-color": of("--edge"), "target-arrow-color": of("--edge"), "target-arrow-shape": "triangle", "arrow-scale": 1.05,
      "overlay-opacity": 0 } },
    { selector: "edge.carries", style: { "line-color": of("--accent"), "target-arrow-color": of("--accent"), "source-arrow-color": of("--accent") } },
    { selector: "edge.hidden", style: { "line-style": "dashed", "source-arrow-shape": "triangle", "source-arrow-color": of("--edge") } },
    { selector: "edge.cut", style: { "line-style": "dashed", "line-dash-pattern": [3, 6], opacity: 0.5, "target-arrow-shape": "tee" } },
    { selector: "edge.chosen", style: { "line-color": of("--set"), "target-arrow-color": of("--set"), "source-arrow-color": of("--set"), width: 5 } },
  ];
}
