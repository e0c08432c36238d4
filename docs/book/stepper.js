// The stepper: <switch-stepper scene="old"> walks through a recorded switch.
//
// A scene is a file of scenes/, written by `just book record`. Each of its steps has only what has changed
// since the one before, so what a step sets is what the page marks.
"use strict";

(() => {
  const base = document.currentScript.src;
  const scenes = new Map();
  const waiting = new Map();
  // Fields of the processor and of a task, in the order in which they are shown.
  const CPU = [
    "esp", "ebp", "eax", "eflags", "IF", "current", "current by esp", "sp0", "GDT 6", "GDT 7", "GDT 8",
    "%gs", "CR3", "CR0.TS", "TSS ports", "preempt_count", "run-queue lock", "rq.prev_mm",
  ];
  const LETTERS = "ABCDEFGH";

  // Each scene's file calls it.
  window.switchScene = (scene) => {
    const states = [];
    let state = {};
    for (const step of scene.steps) {
      state = { ...state, ...step.set };
      for (const name of step.gone || []) delete state[name];
      states.push(state);
    }
    scene.states = states;
    scenes.set(scene.name, scene);
    (waiting.get(scene.name) || []).forEach((show) => show(scene));
  };

  function load(name, show, fail) {
    if (scenes.has(name)) return show(scenes.get(name));
    if (waiting.has(name)) return waiting.get(name).push(show);
    waiting.set(name, [show]);
    const script = document.createElement("script");
    script.src = new URL(`scenes/${name}.js`, base);
    script.onerror = fail;
    document.head.append(script);
  }

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // A cell of a table; what has just changed has a dot, a border, and words for a screen reader.
  function cell(text, changed, tag = "td") {
    const it = make(tag, changed ? { class: "changed" } : {});
    if (changed) it.append(make("span", { "aria-hidden": "true" }, "● "),
      make("span", { class: "spoken" }, "changed: "));
    it.append(text);
    return it;
  }

  class Stepper extends HTMLElement {
    connectedCallback() {
      if (this.scene) return;
      load(this.getAttribute("scene"), (scene) => this.begin(scene),
        () => this.replaceChildren(make("p", {}, "The recording cannot be loaded.")));
    }

    begin(scene) {
      this.scene = scene;
      const button = (name, label, go) => {
        const it = make("button", { type: "button", class: name }, label);
        it.addEventListener("click", () => this.go(go()));
        return it;
      };
      const last = scene.steps.length - 1;
      this.slider = make("input", {
        type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": "step of the switch",
      });
      this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
      this.why = make("p", { class: "why", "aria-live": "polite", "aria-atomic": "true" });
      this.code = make("div", { class: "code" });
      this.tables = make("div", { class: "tables" });
      this.buttons = make("div", { class: "buttons", role: "group", "aria-label": "go through the switch" },
        button("first", "First", () => 0), button("back", "Back", () => this.at - 1),
        button("forward", "Forward", () => this.at + 1), button("last", "Last", () => last));
      const cast = scene.tasks.map((name, index) => `${LETTERS[index]} is ${name}`).join(", ");
      this.setAttribute("role", "region");
      this.setAttribute("aria-label", `Stepper: ${scene.title}`);
      this.setAttribute("tabindex", "0");
      this.replaceChildren(make("p", { class: "title" }, `${scene.title}. ${cast}.`),
        this.buttons, this.slider, this.why, this.code, this.tables);
      this.addEventListener("keydown", (event) => this.key(event));
      this.go(0);
    }

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const last = this.scene.steps.length - 1;
      const to = {
        ArrowRight: this.at + 1, ArrowDown: this.at + 1, ArrowLeft: this.at - 1, ArrowUp: this.at - 1,
        PageDown: this.at + 10, PageUp: this.at - 10, Home: 0, End: last,
      }[event.key];
      if (to === undefined) return;
      // The page itself would turn to the next chapter, and the slider would step once more.
      event.preventDefault();
      event.stopPropagation();
      this.go(to);
    }

    go(to) {
      const last = this.scene.steps.length - 1;
      const at = Math.min(Math.max(to, 0), last);
      if (at === this.at) return;
      this.at = at;
      this.dataset.at = at;
      this.slider.value = at;
      this.slider.setAttribute("aria-valuetext", `step ${at + 1} of ${last + 1}`);
      const step = this.scene.steps[at];
      const on = step.skipped ? ` (${step.skipped} instructions further on)` : "";
      this.why.replaceChildren(make("b", {}, `Step ${at + 1} of ${last + 1}${on}. `), step.why);
      this.draw(step, this.scene.states[at], this.scene.states[at - 1]);
      for (const [name, off] of [["first", at === 0], ["back", at === 0],
        ["forward", at === last], ["last", at === last]]) {
        // A button that were disabled would lose the focus, and with it the keys.
        this.buttons.querySelector(`.${name}`).setAttribute("aria-disabled", off);
      }
    }

    draw(step, now, before) {
      const changed = (name) => before !== undefined && name in step.set;
      const line = (label, state) => make("p", {}, make("span", { class: "label" }, label),
        make("code", {}, state.insn), " ",
        make("span", { class: "place" }, `${state.at}${state.line ? `, ${state.line}` : ""}`),
        ...(state.source ? [make("code", { class: "source" }, state.source)] : []));
      this.code.replaceChildren(...(before ? [line("executed", before)] : []), line("next", now));

      const tasks = this.scene.tasks.map((name, index) => [LETTERS[index], name])
        .filter(([letter]) => Object.keys(now).some((name) => name.startsWith(`${letter}.`)));
      const stacks = make("div", { class: "row" },
        ...tasks.map(([letter, name]) => this.stack(letter, name, now, before, changed)));
      const fields = make("div", { class: "row" }, this.fields("processor", "The processor and its run queue",
        CPU.map((name) => [name, name]), now, changed),
        ...tasks.map(([letter, name]) => {
          const own = Object.keys(now).filter((key) =>
            key.startsWith(`${letter}.`) && !key.startsWith(`${letter}.stack.`));
          return this.fields(`task ${letter}`, `${letter}: ${name}`,
            own.map((key) => [key.slice(2), key]), now, changed);
        }));
      this.tables.replaceChildren(stacks, fields);
    }

    fields(kind, caption, names, now, changed) {
      return make("table", { class: `fields ${kind}` }, make("caption", {}, caption),
        make("tbody", {}, ...names.filter(([, key]) => key in now).map(([label, key]) =>
          make("tr", {}, make("th", { scope: "row" }, label), cell(now[key], changed(key))))));
    }

    // The highest address is on top: a push goes down.
    stack(letter, name, now, before, changed) {
      const prefix = `${letter}.stack.`;
      const words = Object.keys(now).filter((key) => key.startsWith(prefix)).sort().reverse();
      const rows = words.map((key) => {
        const address = key.slice(prefix.length);
        const [value, what, target] = now[key].split("|");
        const points = [];
        if (now.esp === address) points.push("esp");
        if (now[`${letter}.thread.sp`] === address) points.push("thread.sp");
        return make("tr", {}, make("th", { scope: "row" }, address),
          cell(value, changed(key)), make("td", {}, what + (target ? `: ${target}` : "")),
          make("td", { class: "points" }, points.length ? `← ${points.join(", ")}` : ""));
      });
      return make("table", { class: "stack" },
        make("caption", {}, `${letter}'s kernel stack (${name})`), make("tbody", {}, ...rows));
    }
  }

  customElements.define("switch-stepper", Stepper);
})();
