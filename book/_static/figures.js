/* Figures that can be touched. A page has <figure data-figure="KIND"> with its numbers as JSON and a still picture; where
   scripts run, the picture gives way to a drawing with controls. Nothing is fetched. */
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const INK = "var(--pst-color-text-base)", FAINT = "var(--pst-color-text-muted)", BLUE = "var(--book-blue)", RED = "var(--book-red)";

  const make = (name, attributes = {}, ...children) => {
    const svg = ["svg", "g", "path", "line", "circle", "rect", "text", "polyline", "polygon", "title"].includes(name);
    const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const points = (pairs) => pairs.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const say = (value, digits = 2) => value.toFixed(digits).replace("-", "\u2212");
  /* Shares in whole percent that add up to 100: what rounding down leaves goes to the largest remainders. */
  const percents = (shares) => {
    const raw = shares.map((share) => 100 * share), whole = raw.map(Math.floor);
    const rest = (i) => raw[i] - whole[i], left = 100 - whole.reduce((sum, v) => sum + v, 0);
    raw.map((_, i) => i).sort((i, k) => rest(k) - rest(i)).slice(0, left).forEach((i) => { whole[i] += 1; });
    return whole;
  };
  let count = 0;

  const choice = (label, names, change) => {
    const id = `book-figure-${++count}`, select = make("select", { id });
    names.forEach((name, i) => select.append(make("option", { value: i }, name)));
    select.addEventListener("change", () => change(Number(select.value)));
    return { box: make("span", {}, make("label", { for: id }, label), " ", select), select };
  };
  const slider = (label, change) => {
    const id = `book-figure-${++count}`, input = make("input", { id, type: "range" }), shown = make("span");
    input.addEventListener("input", () => change(Number(input.value)));
    return { box: make("span", {}, make("label", { for: id }, label, " ", shown), " ", input), input, shown };
  };
  const stage = (figure, width, height, label) => {
    const controls = make("div", { class: "book-figure-controls" });
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const said = make("output", { "aria-live": "polite" });
    figure.querySelector(".book-figure-still").replaceWith(controls, svg, said);
    return { controls, svg, said };
  };
  const text = (x, y, words, more = {}) => make("text", { x, y, fill: INK, "font-size": 13, ...more }, words);

  /* -- risk measures as weights on quantiles -------------------------------------------------------------------- */

  // Φ by its complementary error function (Numerical Recipes' rational Chebyshev form, relative error below 1.2e-7).
  const normalCdf = (x) => {
    const z = Math.abs(x) / Math.SQRT2, t = 1 / (1 + z / 2);
    const terms = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
      -0.82215223, 0.17087277];
    const tail = t * Math.exp(-z * z + terms.reduceRight((sum, term) => sum * t + term, 0)) / 2;
    return x > 0 ? 1 - tail : tail;
  };
  const solve = (rising, level, low, high) => {
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2;
      if (rising(middle) < level) low = middle; else high = middle;
    }
    return (low + high) / 2;
  };
  const cpw = (tau, c) => tau ** c / (tau ** c + (1 - tau) ** c) ** (1 / c);
  // g(u): the mass that a measure puts on the lowest share u of outcomes (`ramac_lib.risk.distort_cdf`).
  const MASS = {
    cvar: (u, a) => Math.min(u / a, 1),
    wang: (u, l) => (u <= 0 ? 0 : u >= 1 ? 1 : normalCdf(solve(normalCdf, u, -9, 9) - l)),
    cpw: (u, c) => (u <= 0 ? 0 : u >= 1 ? 1 : solve((tau) => cpw(tau, c), u, 0, 1)),
    power: (u, n) => (n >= 0 ? u ** (1 + n) : 1 - (1 - u) ** (1 - n)),
    neutral: (u) => u,
  };
  const MEASURES = [
    { name: "CVaR", key: "cvar", symbol: "\u03b1", low: 0.05, high: 1, step: 0.05, value: 0.1 },
    { name: "Wang", key: "wang", symbol: "\u03bb", low: -1.5, high: 1.5, step: 0.1, value: -0.7 },
    { name: "CPW", key: "cpw", symbol: "c", low: 0.3, high: 1, step: 0.01, value: 0.71 },
    { name: "Power", key: "power", symbol: "\u03bd", low: -4, high: 4, step: 0.25, value: -2 },
    { name: "Neutral (the mean)", key: "neutral" },
  ];
  const weights = (key, parameter, n) => {
    const mass = Array.from({ length: n + 1 }, (_, i) => MASS[key](i / n, parameter));
    return mass.slice(1).map((m, i) => m - mass[i]);
  };

  const riskWeights = (figure, data) => {
    const [W, LEFT, TOP, UPPER, GAP, LOWER] = [640, 56, 14, 190, 44, 120];
    const bottom = TOP + UPPER + GAP, across = W - LEFT - 10;
    const { controls, svg, said } = stage(figure, W, bottom + LOWER + 40, "Quantiles of the return, and the weight of each");
    const state = { law: 0, measure: 0, parameter: MEASURES[0].value };
    const laws = choice("return", data.distributions.map((law) => law.name), (i) => { state.law = i; draw(); });
    const measures = choice("measure", MEASURES.map((m) => m.name), (i) => {
      state.measure = i;
      state.parameter = MEASURES[i].value;
      draw();
    });
    const dial = slider("", (value) => { state.parameter = value; draw(); });
    controls.append(laws.box, measures.box, dial.box);

    const draw = () => {
      const measure = MEASURES[state.measure], q = data.distributions[state.law].quantiles, n = q.length;
      const w = weights(measure.key, state.parameter, n);
      const mean = q.reduce((sum, v) => sum + v, 0) / n, risk = q.reduce((sum, v, i) => sum + v * w[i], 0);
      dial.box.hidden = measure.step === undefined;
      if (measure.step !== undefined) {
        Object.assign(dial.input, { min: measure.low, max: measure.high, step: measure.step, value: state.parameter });
        dial.shown.textContent = `${measure.symbol} = ${say(state.parameter)}`;
      }
      const low = Math.min(...q), high = Math.max(...q), most = Math.max(2, ...w.map((v) => v * n));
      const x = (u) => LEFT + across * u, y = (v) => TOP + UPPER * (high - v) / (high - low);
      const level = (v) => bottom + LOWER * (1 - v / most);
      const steps = w.flatMap((v, i) => [[x(i / n), level(v * n)], [x((i + 1) / n), level(v * n)]]);
      const line = (v, colour, words, dash) => [
        make("line", { x1: LEFT, x2: LEFT + across, y1: y(v), y2: y(v), stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }),
        text(LEFT + across - 4, y(v) + (v === mean ? -6 : 16), words, { fill: colour, "text-anchor": "end" }),
      ];
      const axis = [0, 0.25, 0.5, 0.75, 1].map((u) => text(x(u), bottom + LOWER + 18, String(u), { "text-anchor": "middle" }));
      svg.replaceChildren(
        ...[low, high].map((v) => text(LEFT - 6, y(v) + 4, say(v, 0), { "text-anchor": "end" })),
        text(LEFT - 6, level(most) + 4, say(most, 0), { "text-anchor": "end" }), text(LEFT - 6, level(0) + 4, "0", { "text-anchor": "end" }),
        ...axis, text(LEFT + across / 2, bottom + LOWER + 36, "quantile fraction \u03c4, worst first", { "text-anchor": "middle" }),
        text(LEFT + 4, bottom - 8, "weight of each outcome (the mean's is 1)"), text(LEFT + 4, TOP + 4, "return"),
        make("polygon", { points: points([[LEFT, level(0)], ...steps, [LEFT + across, level(0)]]), fill: BLUE, "fill-opacity": 0.35 }),
        make("line", { x1: LEFT, x2: LEFT + across, y1: level(1), y2: level(1), stroke: FAINT, "stroke-dasharray": "3 3" }),
        make("polyline", { points: points(q.map((v, i) => [x((i + 0.5) / n), y(v)])), fill: "none", stroke: INK, "stroke-width": 2 }),
        ...line(mean, FAINT, "mean", "6 4"), ...(measure.key === "neutral" ? [] : line(risk, RED, measure.name, "none")),
      );
      const lowest = w.slice(0, Math.round(n / 10)).reduce((sum, v) => sum + v, 0);
      said.textContent = `${measure.name}${measure.step === undefined ? "" : `, ${measure.symbol} = ${say(state.parameter)}`}: ` +
        `${say(risk)}; the mean is ${say(mean)}. The lowest tenth of outcomes has ${say(100 * lowest, 0)} % of the weight.`;
      figure.dataset.value = risk;
    };

    const drag = (event) => {
      const measure = MEASURES[state.measure];
      if (measure.step === undefined || (event.type === "pointermove" && event.buttons !== 1)) return;
      const box = svg.getBoundingClientRect();
      const u = Math.min(1, Math.max(0, ((event.clientX - box.left) / box.width * W - LEFT) / across));
      const raw = measure.key === "cvar" ? u : measure.low + u * (measure.high - measure.low);
      state.parameter = Math.min(measure.high, Math.max(measure.low, Math.round(raw / measure.step) * measure.step));
      draw();
    };
    svg.addEventListener("pointerdown", drag);
    svg.addEventListener("pointermove", drag);
    draw();
  };

  /* -- navigation's risk dial ------------------------------------------------------------------------------------ */

  const riskDial = (figure, data) => {
    const SIDE = 380, { controls, svg, said } = stage(figure, 640, SIDE + 20, "The path of the best policy at a risk level");
    const state = { world: 0, level: 0 }, at = (v) => 10 + v * SIDE, up = (v) => 10 + (1 - v) * SIDE;
    const worlds = choice("map", data.worlds.map((w) => w.name), (i) => { state.world = i; dial.input.max = last(); clamp(); draw(); });
    const dial = slider("level ", (value) => { state.level = value; draw(); });
    const last = () => data.worlds[state.world].levels.length - 1;
    const clamp = () => { state.level = Math.min(state.level, last()); };
    Object.assign(dial.input, { min: 0, max: last(), step: 1, value: 0 });
    controls.append(worlds.box, dial.box);
    const area = (shape, style) => shape.centre
      ? make("circle", { cx: at(shape.centre[0]), cy: up(shape.centre[1]), r: shape.radius * SIDE, ...style })
      : make("polygon", { points: points(shape.corners.map(([a, b]) => [at(a), up(b)])), ...style });

    const draw = () => {
      const world = data.worlds[state.world], levels = world.levels, one = levels[state.level];
      dial.input.value = state.level;
      dial.shown.textContent = one.level >= 1 ? "\u03b1 = 1 (the mean)" : `\u03b1 = ${say(one.level)}`;
      dial.input.setAttribute("aria-valuetext", dial.shown.textContent);
      const path = (p, style) => make("polyline", { points: points(p.map(([a, b]) => [at(a), up(b)])), fill: "none", ...style });
      const values = levels.flatMap((l) => [l.mean, l.tail]), low = Math.min(...values), high = Math.max(...values);
      const x = (l) => 460 + 160 * l.level, y = (v) => 40 + 260 * (high - v) / (high - low || 1);
      const series = (key, colour) => [
        make("polyline", { points: points(levels.map((l) => [x(l), y(l[key])])), fill: "none", stroke: colour, "stroke-width": 2 }),
        make("circle", { cx: x(one), cy: y(one[key]), r: 5, fill: colour }),
      ];
      svg.replaceChildren(
        make("rect", { x: 10, y: 10, width: SIDE, height: SIDE, fill: "none", stroke: FAINT }),
        ...world.walls.map((shape) => area(shape, { fill: FAINT, "fill-opacity": 0.6 })),
        ...world.dangers.map((shape) => area(shape, { fill: RED, "fill-opacity": 0.25, stroke: RED })),
        ...levels.map((l) => path(l.path, { stroke: FAINT, "stroke-opacity": 0.3 })),
        path(one.path, { stroke: BLUE, "stroke-width": 4, "stroke-linejoin": "round" }),
        ...one.path.map(([a, b]) => make("circle", { cx: at(a), cy: up(b), r: 4, fill: BLUE })),
        make("circle", { cx: at(world.goal[0]), cy: up(world.goal[1]), r: 0.05 * SIDE, fill: "none", stroke: INK, "stroke-width": 2 }),
        text(at(world.goal[0]) + 24, up(world.goal[1]) + 5, "goal"),
        ...series("mean", INK), ...series("tail", RED),
        text(460, y(levels[0].mean) - 10, "mean"), text(460, y(levels[0].tail) + 24, "worst tenth", { fill: RED }),
        text(540, 330, "level \u03b1", { "text-anchor": "middle" }), text(460, 330, "0"), text(620, 330, "1", { "text-anchor": "end" }),
        text(454, y(high) + 4, say(high, 1), { "text-anchor": "end" }), text(454, y(low) + 4, say(low, 1), { "text-anchor": "end" }),
      );
      said.textContent = `At ${dial.shown.textContent} the best path has ${one.steps} steps, ${one.inside} of them in danger: ` +
        `mean ${say(one.mean)}, mean of the worst tenth ${say(one.tail)}.`;
      figure.dataset.value = one.mean;
    };
    draw();
  };

  /* -- the bandit's densities -------------------------------------------------------------------------------------- */

  const banditDensities = (figure, data) => {
    const SIDE = 360, { controls, svg, said } = stage(figure, 640, SIDE + 20, "Where a trained policy puts its actions");
    const state = data.knobs.map((knob) => knob.start);
    const dials = data.knobs.map((knob, k) => {
      const dial = slider(`${knob.name} = `, (value) => { state[k] = value; draw(); });
      Object.assign(dial.input, { min: 0, max: knob.values.length - 1, step: 1, value: knob.start });
      return dial;
    });
    controls.append(...dials.map((dial) => dial.box));
    const n = data.bins, cell = SIDE / n, at = (v) => 10 + (v + 1) / 2 * SIDE, up = (v) => 10 + (1 - v) / 2 * SIDE;

    const draw = () => {
      const index = state.reduce((sum, i, k) => sum * data.knobs[k].values.length + i, 0), one = data.fields[index];
      dials.forEach((dial, k) => {
        dial.shown.textContent = data.knobs[k].values[state[k]];
        dial.input.setAttribute("aria-valuetext", dial.shown.textContent);
      });
      const bytes = Uint8Array.from(atob(one.density), (c) => c.charCodeAt(0)), cells = [];
      bytes.forEach((byte, i) => {
        if (byte) cells.push(make("rect", { x: 10 + (i % n) * cell, y: 10 + Math.floor(i / n) * cell, width: cell + 0.3,
          height: cell + 0.3, fill: BLUE, "fill-opacity": (byte / 255).toFixed(3) }));
      });
      const ring = (r, colour) => make("circle", { cx: at(0), cy: up(0), r: r * SIDE / 2, fill: "none", stroke: colour,
        "stroke-dasharray": "4 4" });
      const whole = percents(one.shares), bars = data.shares.map((name, i) => [
        text(410, 60 + 54 * i, `${name}: ${whole[i]} %`),
        make("rect", { x: 410, y: 68 + 54 * i, width: Math.max(1, 210 * one.shares[i]), height: 12, fill: i === 1 ? RED : BLUE }),
      ]);
      svg.replaceChildren(
        make("rect", { x: 10, y: 10, width: SIDE, height: SIDE, fill: "none", stroke: FAINT }), ...cells,
        ...data.rings.map((r, i) => ring(r, i === 0 ? INK : RED)), ...bars.flat(),
        ...[`mean = ${say(one.mean)}`, `CVaR\u2080.\u2081 = ${say(one.tail)}`].map((words, k) =>
          text(410, 60 + 54 * data.shares.length + 22 * k, words)),
      );
      said.textContent = data.knobs.map((knob, k) => `${knob.name} ${knob.values[state[k]]}`).join(", ") + ": " +
        data.shares.map((name, i) => `${name} ${whole[i]} %`).join(", ") +
        `; mean reward ${say(one.mean)}, mean of the worst tenth ${say(one.tail)}.`;
      figure.dataset.value = one.mean;
    };
    draw();
  };

  /* -- a policy while it trains ------------------------------------------------------------------------------------ */

  const trainingFilm = (figure, data) => {
    const SIDE = 340, { controls, svg, said } = stage(figure, 640, SIDE + 20, "A policy's actions while it trains");
    const frames = data.frames, last = frames.length - 1, play = make("button", { type: "button" }, "Play");
    let now = 0, timer = null;
    const dial = slider("Moment: ", (value) => { pause(); now = value; draw(); });
    Object.assign(dial.input, { min: 0, max: last, step: 1, value: 0 });
    controls.append(play, " ", dial.box);
    const pause = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    const run = () => {
      if (now === last) now = 0;
      play.textContent = "Pause";
      said.textContent = "";  // told at each moment only where the reader stops
      timer = setInterval(() => { now += 1; if (now === last) pause(); draw(); }, 450);
    };
    play.addEventListener("click", () => { if (timer) pause(); else run(); draw(); });
    const at = (v) => 10 + (v + 1) / 2 * SIDE, up = (v) => 10 + (1 - v) / 2 * SIDE;
    const tails = frames.map((f) => f.tail), low = Math.min(...tails, 0), high = Math.max(...tails, data.best);
    const x = (k) => 420 + 200 * k / last, y = (v) => 60 + 240 * (high - v) / (high - low);

    const draw = () => {
      const one = frames[now], bytes = Int8Array.from(atob(one.points), (c) => c.charCodeAt(0)), dots = [];
      for (let i = 0; i < bytes.length; i += 2)
        dots.push(make("circle", { cx: at(bytes[i] / 127).toFixed(1), cy: up(bytes[i + 1] / 127).toFixed(1), r: 2.2,
          fill: now ? BLUE : INK, "fill-opacity": 0.7 }));
      dial.input.value = now;
      dial.shown.textContent = one.label;
      dial.input.setAttribute("aria-valuetext", one.label);
      svg.replaceChildren(
        make("rect", { x: 10, y: 10, width: SIDE, height: SIDE, fill: "none", stroke: FAINT }), ...dots,
        ...data.rings.map((r, i) => make("circle", { cx: at(0), cy: up(0), r: r * SIDE / 2, fill: "none",
          stroke: i ? RED : INK, "stroke-dasharray": "4 4" })),
        text(420, 30, "mean of the worst tenth"),
        make("line", { x1: 420, x2: 620, y1: y(data.best), y2: y(data.best), stroke: FAINT, "stroke-dasharray": "4 4" }),
        text(620, y(data.best) - 6, "best possible", { "text-anchor": "end", fill: FAINT, "font-size": 11 }),
        make("polyline", { points: points(tails.slice(0, now + 1).map((v, k) => [x(k), y(v)])), fill: "none", stroke: BLUE,
          "stroke-width": 2 }),
        make("circle", { cx: x(now), cy: y(one.tail), r: 5, fill: BLUE }),
        text(620, 330, `${say(one.tail)}, on the ring ${say(100 * one.ring, 0)} %`, { "text-anchor": "end" }),
      );
      if (!timer) said.textContent = `${one.label}: mean of the worst tenth ${say(one.tail)}, ${say(100 * one.ring, 0)} % ` +
        "of actions on the ring.";
      figure.dataset.value = one.tail;
    };
    draw();
    // Once by itself, where the reader has not asked for less motion.
    if (globalThis.matchMedia && !matchMedia("(prefers-reduced-motion: reduce)").matches) run();
  };

  /* -- a robot under a hazard -------------------------------------------------------------------------------------- */

  const robotFilm = (figure, data) => {
    const W = 640, LEFT = 56, GROUND = 232, TALL = 205, TOP = 290, DEEP = 110;
    const { controls, svg, said } = stage(figure, W, TOP + DEEP + 44, "A robot, and the signal that its hazard monitors");
    const calm = globalThis.matchMedia && matchMedia("(prefers-reduced-motion: reduce)").matches;
    const play = make("button", { type: "button" }, "Play");
    let which = 0, now = 0, timer = null, hovered = false, poses;
    const robots = choice(data.choice || "robot", data.robots.map((robot) => robot.name), (i) => { pause(); which = i; now = 0; load(); draw(); });
    const dial = slider("step ", (value) => { pause(); now = value; draw(); });
    controls.append(robots.box, play, dial.box);
    const load = () => {
      const bytes = Uint8Array.from(atob(data.robots[which].poses), (c) => c.charCodeAt(0));
      poses = new Int16Array(bytes.buffer);  // millimetres: x and z of both ends of each part, from the robot's middle
      Object.assign(dial.input, { min: 0, max: data.robots[which].signal.length - 1, step: 1 });
    };
    const pause = () => { clearInterval(timer); timer = null; hovered = false; play.textContent = "Play"; };
    const run = () => {
      const last = data.robots[which].signal.length - 1, stride = Math.max(1, Math.round(last / 250));
      if (now === last) now = 0;
      play.textContent = "Pause";
      said.textContent = "";  // told where the reader stops
      timer = setInterval(() => { now = Math.min(last, now + stride); if (now === last) pause(); draw(); }, 40);
    };
    play.addEventListener("click", () => { if (timer && !hovered) pause(); else if (timer) hovered = false; else run(); draw(); });
    svg.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !calm && !timer) { run(); hovered = true; }
    });
    svg.addEventListener("pointerleave", () => { if (hovered) { pause(); draw(); } });

    const draw = () => {
      const robot = data.robots[which], signal = robot.signal, last = signal.length - 1, scale = TALL / robot.height;
      const out = robot.out.some(([first, end]) => first <= now && now < end), colour = out ? RED : BLUE;
      const fell = robot.struck.filter((step) => step <= now), fresh = fell.some((step) => now - step < 15);
      const x = (k) => LEFT + (W - LEFT - 10) * k / last;
      const y = (v) => TOP + DEEP * (robot.span[1] - v) / (robot.span[1] - robot.span[0]);
      const parts = robot.radii.map((radius, k) => {
        const first = 4 * (now * robot.radii.length + k);
        const [x1, z1, x2, z2] = Array.from(poses.subarray(first, first + 4), (v) => v / 1000 * scale);
        return make("line", { x1: W / 2 + x1, y1: GROUND - z1, x2: W / 2 + x2, y2: GROUND - z2, stroke: colour,
          "stroke-width": (2 * radius * scale).toFixed(1), "stroke-linecap": "round", "stroke-opacity": 0.85 });
      });
      const metres = [], middle = robot.way[now] / 100, half = W / 2 / scale;
      for (let m = Math.ceil(middle - half); m < middle + half; m++) {
        const place = W / 2 + (m - middle) * scale;
        metres.push(make("line", { x1: place, x2: place, y1: GROUND, y2: GROUND + 7, stroke: FAINT }));
        if (Math.abs(place - W / 2) < W / 2 - 30) metres.push(text(place, GROUND + 24, `${say(m, 0)} m`, { "text-anchor": "middle", fill: FAINT }));
      }
      const bounds = robot.bounds.filter((v) => v > robot.span[0] && v < robot.span[1]);
      const [low, high] = robot.bounds.map((v) => Math.min(robot.span[1], Math.max(robot.span[0], v)));
      const line = (to, stroke, width) => make("polyline", { points: points(signal.slice(0, to).map((v, k) => [x(k), y(v)])),
        fill: "none", stroke, "stroke-width": width });
      const told = `${robot.signalName} ${say(signal[now], robot.digits)} ${robot.unit}`;
      dial.input.value = now;
      dial.shown.textContent = String(now);
      dial.input.setAttribute("aria-valuetext", `step ${now}, ${told}${out ? ", out of range" : ""}`);
      play.setAttribute("aria-label", timer ? "Pause" : "Play the episode");
      svg.replaceChildren(
        make("line", { x1: 0, x2: W, y1: GROUND, y2: GROUND, stroke: INK }), ...metres, ...parts,
        text(4, 18, told, { fill: out ? RED : INK }), ...(out ? [text(4, 40, "out of the safe range", { fill: RED })] : []),
        ...(fresh ? [text(W - 4, 18, `penalty ${say(robot.penalty, 0)}`, { "text-anchor": "end", fill: RED, "font-weight": 700 })] : []),
        make("rect", { x: LEFT, width: W - LEFT - 10, y: y(high), height: y(low) - y(high), fill: BLUE, "fill-opacity": 0.14 }),
        ...bounds.flatMap((v) => [
          make("line", { x1: LEFT, x2: W - 10, y1: y(v), y2: y(v), stroke: RED, "stroke-dasharray": "5 4" }),
          text(LEFT - 6, y(v) + 4, say(v, v % 1 ? 2 : 0), { "text-anchor": "end" })]),
        ...robot.out.map(([first, end]) => make("rect", { x: x(first), y: TOP + DEEP + 4, width: Math.max(1.5, x(end - 1) - x(first)),
          height: 7, fill: RED })),
        line(last + 1, FAINT, 1), line(now + 1, INK, 2),
        ...robot.struck.map((step) => make("circle", { cx: x(step), cy: y(signal[step]), r: 6, stroke: RED, "stroke-width": 2,
          fill: step <= now ? RED : "none" })),
        make("line", { x1: x(now), x2: x(now), y1: TOP - 6, y2: TOP + DEEP + 14, stroke: INK }),
        text(LEFT, TOP + DEEP + 32, "0"), text(W - 10, TOP + DEEP + 32, `step ${last}`, { "text-anchor": "end" }),
      );
      if (!timer) said.textContent = `${robot.name}, step ${now} of ${last}: ${told}, ${out ? "out of" : "within"} the safe range. ` +
        `Penalties so far: ${fell.length} of ${robot.struck.length}.`;
      figure.dataset.value = signal[now];
    };
    load();
    draw();
  };

  const KINDS = { "risk-weights": riskWeights, "risk-dial": riskDial, "bandit-densities": banditDensities,
    "training-film": trainingFilm, "robot-film": robotFilm };
  const start = () => document.querySelectorAll("figure[data-figure]").forEach((figure) => {
    KINDS[figure.dataset.figure](figure, JSON.parse(figure.querySelector("script").textContent));
  });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
