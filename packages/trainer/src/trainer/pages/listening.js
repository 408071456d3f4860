"use strict";
// A listening test: what is asked comes in the page, what is answered stays in this browser
// until the listener saves it. Sounds have random names; nothing here knows whose they are.
(() => {
  const test = JSON.parse(document.getElementById("listening-test").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const make = (tag, given = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), given);
    node.append(...children);
    return node;
  };

  // ------------------------------------------------------------------ what is kept
  const PLACE = `listening-${test.test}`;
  const blank = () => {
    const drawn = crypto.getRandomValues(new Uint32Array(3));
    return {
      seed: drawn[0],
      session: [...drawn].map((each) => each.toString(16).padStart(8, "0")).join(""),
      listener: "", began: new Date().toISOString(), at: -1, // -1: the first screen
      heard: {}, chosen: {}, scores: {}, savedCount: -1,
    };
  };
  const load = () => {
    try { return { ...blank(), ...JSON.parse(localStorage.getItem(PLACE)) }; } catch { return blank(); }
  };
  let keeps = true; // whether this browser lets a page keep anything
  const store = () => {
    try { localStorage.setItem(PLACE, JSON.stringify(state)); } catch { keeps = false; }
  };
  let state = load();

  // -------------------------------------------------------------- what is drawn by chance
  // Mulberry32 (T. Ettinger): small, and the same in every browser for the same seed.
  const chance = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const shuffled = (items, random) => {
    const found = [...items];
    for (let k = found.length - 1; k > 0; k--) {
      const other = Math.floor(random() * (k + 1));
      [found[k], found[other]] = [found[other], found[k]];
    }
    return found;
  };

  // The page's orders are balanced over its pairs; turning all of them round keeps that.
  const trialsFor = (seed) => {
    const random = chance(seed);
    const turned = random() < 0.5;
    const pairs = test.trials.filter((trial) => trial.part === "preference").map((trial) =>
      ({ ...trial, stimuli: turned ? [...trial.stimuli].reverse() : trial.stimuli }));
    const screens = test.trials.filter((trial) => trial.part === "score").map((trial) =>
      ({ ...trial, stimuli: shuffled(trial.stimuli, random) }));
    return [...shuffled(pairs, random), ...shuffled(screens, random)];
  };
  let trials = trialsFor(state.seed);

  // ------------------------------------------------------------------- what is answered
  const heardOf = (trial) => state.heard[trial.id] || [];
  const unheard = (trial) =>
    [trial.reference, ...trial.stimuli].filter((id) => !heardOf(trial).includes(id));
  const isAnswered = (trial) => {
    if (unheard(trial).length) return false;
    if (trial.part === "preference") return trial.id in state.chosen;
    const scores = state.scores[trial.id] || {};
    return trial.stimuli.every((id) => test.questions.every((each) => (scores[id] || {})[each.name]));
  };
  const missing = () => trials.flatMap((trial, place) => (isAnswered(trial) ? [] : [place]));

  const exported = () => {
    const done = trials.filter(isAnswered);
    const pick = (from, part) => Object.fromEntries(
      done.filter((trial) => trial.part === part).map((trial) => [trial.id, from[trial.id]]));
    return {
      kind: test.kind, test: test.test, session: state.session, seed: state.seed,
      listener: state.listener, began: state.began, saved: new Date().toISOString(),
      trials: trials.length, answered: done.length,
      chosen: pick(state.chosen, "preference"), scores: pick(state.scores, "score"),
    };
  };

  // -------------------------------------------------------------------------- sound
  const sound = byId("sound");
  let playing = null; // { id, button, done }

  const showPlaying = () => {
    for (const button of all(".play")) {
      const on = playing && playing.button === button && !sound.paused;
      button.querySelector(".mark").textContent = on ? "❚❚" : "▶";
      button.setAttribute("aria-pressed", String(Boolean(on)));
    }
  };
  const silence = () => { playing = null; sound.pause(); showPlaying(); };
  const play = (id, button, done = () => {}) => {
    if (playing && playing.button === button && !sound.ended) {
      if (sound.paused) sound.play(); else sound.pause();
      return;
    }
    playing = { id, button, done };
    sound.src = test.sounds[id];
    sound.play().catch((error) => {
      if (error.name !== "AbortError") tell("This browser cannot play the sound.", true);
    });
  };
  sound.addEventListener("play", showPlaying);
  sound.addEventListener("pause", showPlaying);
  sound.addEventListener("ended", () => { if (playing) playing.done(); showPlaying(); });

  const playButton = (words, act) => {
    const mark = make("span", { className: "mark", textContent: "▶" });
    const button = make("button", { type: "button", className: "play" }, mark, words);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => act(button));
    return button;
  };

  // ------------------------------------------------------------------------- screens
  const title = document.querySelector("main h2");
  const status = byId("status");
  const tell = (words, bad = false) => {
    status.textContent = words;
    status.classList.toggle("bad", bad);
  };
  const show = (name, words) => {
    silence();
    for (const part of all(".screen")) part.hidden = part.id !== name;
    document.querySelector(".lead").hidden = name !== "start"; // a phone has no room for it
    byId("steps").hidden = name !== "trial";
    title.textContent = words;
    tell(keeps ? "" : "This browser keeps nothing: answer in one go, and do not reload.", !keeps);
    count();
  };
  const count = () => {
    const done = trials.length - missing().length;
    byId("progress").max = trials.length;
    byId("progress").value = done;
    byId("count").textContent = `${done} of ${trials.length} answered`;
  };

  const goTo = (place) => {
    state.at = Math.max(-1, Math.min(place, trials.length));
    store();
    render();
    scrollTo(0, 0);
  };
  const render = () => {
    if (state.at < 0) showStart();
    else if (state.at >= trials.length) showEnd();
    else showTrial(trials[state.at]);
  };

  const showStart = () => {
    show("start", "Before you begin");
    byId("listener").value = state.listener;
    byId("begin").textContent = missing().length < trials.length ? "Go on" : "Begin";
  };
  const begin = () => {
    const name = byId("listener").value.trim();
    if (!name) { tell("Please enter your name or code first.", true); byId("listener").focus(); return; }
    state.listener = name;
    goTo(missing()[0] ?? trials.length);
  };

  // Rows a listener goes through with the arrow keys: what plays, and which scale is in hand.
  let rows = []; // { box, button, scale: {trial, id, question} | null }
  let now = 0;
  const take = (place, focus = true) => {
    if (!rows.length) return;
    now = Math.max(0, Math.min(place, rows.length - 1));
    for (const row of rows) { row.box.classList.remove("now"); if (row.scale) row.scale.box.classList.remove("now"); }
    rows[now].box.classList.add("now");
    if (rows[now].scale) rows[now].scale.box.classList.add("now");
    if (focus) rows[now].button.focus();
  };

  const showTrial = (trial) => {
    const place = trials.indexOf(trial);
    const isPair = trial.part === "preference";
    show("trial", isPair ? "Which sounds better?" : "How good is each?");
    byId("question").textContent = isPair
      ? "Both say the same sentence. Listen to the reference, A and B; then choose. Both may differ from the reference: choose the one you would rather listen to."
      : "All say the sentence of the reference. Score how natural each sounds, and how much its voice is that of the reference. One of them is as good as the reference.";
    byId("where").textContent = `${place + 1} of ${trials.length}`;
    const box = byId("stimuli");
    box.replaceChildren();
    rows = [];
    addRow(box, trial, trial.reference, "Reference");
    trial.stimuli.forEach((id, k) => addRow(box, trial, id, String.fromCharCode(65 + k)));
    byId("choices").hidden = !isPair;
    take(0);
    update(trial);
  };

  const addRow = (box, trial, id, name) => {
    const place = rows.length;
    const act = (button) => { take(place, false); play(id, button, () => heard(trial, id)); };
    const button = playButton(name, act);
    const mark = make("span", { className: "heard", textContent: "✓ heard", hidden: true });
    const row = make("div", { className: "row" }, button, mark);
    row.dataset.sound = id;
    row.dataset.name = name;
    box.append(row);
    if (trial.part === "preference" || id === trial.reference) {
      rows.push({ box: row, button, scale: null });
      return;
    }
    for (const question of test.questions) {
      const scale = addScale(row, trial, id, name, question, rows.length);
      rows.push({ box: row, button, scale });
    }
  };

  const addScale = (row, trial, id, name, question, place) => {
    const box = make("div", { className: "scale" }, make("span", { textContent: question.title }));
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${question.title} of ${name}`);
    question.words.forEach((words, k) => {
      const button = make("button", { type: "button", className: "answer" }, String(k + 1), make("small", { textContent: words }));
      button.dataset.value = k + 1;
      button.addEventListener("click", () => { take(place, false); rate(trial, id, question, k + 1); });
      box.append(button);
    });
    box.dataset.question = question.name;
    row.append(box);
    return { box, id, question };
  };

  const heard = (trial, id) => {
    state.heard[trial.id] = [...new Set([...heardOf(trial), id])];
    store();
    if (trials[state.at] === trial) update(trial);
  };

  // Nothing can be judged before it was heard to its end.
  const update = (trial) => {
    const left = unheard(trial);
    for (const row of all("#stimuli .row")) {
      row.querySelector(".heard").hidden = left.includes(row.dataset.sound);
      for (const scale of row.querySelectorAll(".scale")) markScale(trial, row.dataset.sound, scale, left);
    }
    if (trial.part === "preference") markChoices(trial, left);
    const names = all("#stimuli .row").filter((row) => left.includes(row.dataset.sound)).map((row) => row.dataset.name);
    if (isAnswered(trial)) tell("Answered. You may still change it, or go on.");
    else if (left.length) tell(`Still to hear to the end: ${names.join(", ")}.`);
    else tell(trial.part === "preference" ? "Which sounds better?" : "Some scores are still missing.");
    count();
  };
  const markScale = (trial, id, scale, left) => {
    const given = ((state.scores[trial.id] || {})[id] || {})[scale.dataset.question];
    for (const button of scale.querySelectorAll("button")) {
      button.disabled = left.includes(id) || left.includes(trial.reference);
      button.setAttribute("aria-pressed", String(given === Number(button.dataset.value)));
    }
  };
  const markChoices = (trial, left) => {
    const values = { first: trial.stimuli[0], second: trial.stimuli[1], none: null };
    for (const [name, id] of Object.entries(values)) {
      byId(name).disabled = left.length > 0;
      byId(name).setAttribute("aria-pressed", String(state.chosen[trial.id] === id));
    }
  };
  const refuse = (trial) => { update(trial); status.classList.add("bad"); };

  const choose = (k) => {
    const trial = trials[state.at];
    if (!trial || trial.part !== "preference") return;
    if (unheard(trial).length) { refuse(trial); return; }
    state.chosen[trial.id] = k < 0 ? null : trial.stimuli[k];
    store();
    update(trial);
  };
  const rate = (trial, id, question, value) => {
    if (unheard(trial).some((each) => each === id || each === trial.reference)) { refuse(trial); return; }
    const scores = state.scores[trial.id] = state.scores[trial.id] || {};
    scores[id] = { ...scores[id], [question.name]: value };
    store();
    update(trial);
  };

  // ---------------------------------------------------------------------------- the end
  const showEnd = () => {
    const left = missing();
    show("end", left.length ? "Not all is answered yet" : "All is answered");
    byId("left").hidden = left.length === 0;
    byId("unanswered").textContent = `${left.length} of ${trials.length} are missing:`;
    byId("which").replaceChildren(...left.map((place) => {
      const button = make("button", { type: "button", textContent: String(place + 1) });
      button.setAttribute("aria-label", `go to ${place + 1}`);
      button.addEventListener("click", () => goTo(place));
      return button;
    }));
    byId("save").textContent = left.length ? `Save the ${trials.length - left.length} answered so far` : "Save my answers";
    byId("save").disabled = left.length === trials.length;
    byId("save").classList.toggle("main", left.length === 0);
    byId("after").hidden = state.savedCount < 0;
    byId("again").textContent = "Next listener";
    byId("name").textContent = state.listener;
  };

  const save = () => {
    const answers = exported();
    const plain = state.listener.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "listener";
    const name = `answers-${test.test}-${plain}.json`;
    const file = new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" });
    const link = make("a", { href: URL.createObjectURL(file), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    state.savedCount = answers.answered;
    store();
    showEnd();
    tell(`Saved ${name}: send this file to whoever gave you the test.`);
  };

  // Two steps, as it forgets the answers: the first asks.
  const again = () => {
    if (byId("again").textContent === "Next listener") {
      byId("again").textContent = "Forget these answers and begin anew";
      return;
    }
    state = blank();
    trials = trialsFor(state.seed);
    store();
    render();
  };

  // ------------------------------------------------------------------------------- keys
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const trial = trials[state.at];
    if (!trial) return;
    const isPair = trial.part === "preference";
    const key = event.key.toLowerCase();
    const actions = {
      arrowdown: () => take(now + 1), arrowup: () => take(now - 1),
      arrowright: () => goTo(state.at + 1), arrowleft: () => goTo(state.at - 1),
      ...(isPair ? { a: () => choose(0), b: () => choose(1), 0: () => choose(-1) } : {}),
    };
    // A focused play or navigation button takes the space bar itself.
    if (key === " " && !event.target.matches("button:not(.answer)")) actions[" "] = () => rows[now].button.click();
    if (!isPair && "12345".includes(key)) actions[key] = () => score(trial, Number(key));
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  };
  const score = (trial, value) => {
    const { scale } = rows[now];
    if (!scale) { tell("The reference has no score: press ↓ to go to A.", true); return; }
    rate(trial, scale.id, scale.question, value);
    const given = (state.scores[trial.id] || {})[scale.id] || {};
    if (given[scale.question.name] === value) take(now + 1);
  };

  // ------------------------------------------------------------------------------ begin
  byId("check").append(playButton("Sound check", (button) => play(trials[0].reference, button)));
  byId("begin").addEventListener("click", begin);
  byId("listener").addEventListener("keydown", (event) => { if (event.key === "Enter") begin(); });
  byId("first").addEventListener("click", () => choose(0));
  byId("second").addEventListener("click", () => choose(1));
  byId("none").addEventListener("click", () => choose(-1));
  byId("back").addEventListener("click", () => goTo(state.at - 1));
  byId("next").addEventListener("click", () => goTo(state.at + 1));
  byId("finish").addEventListener("click", () => goTo(trials.length));
  byId("return").addEventListener("click", () => goTo(trials.length - 1));
  byId("save").addEventListener("click", save);
  byId("again").addEventListener("click", again);
  document.addEventListener("keydown", onKey);
  store();
  render();
})();
