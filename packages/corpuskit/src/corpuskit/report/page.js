"use strict";
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search); // ?theme=dark&GROUP=VALUE

  // ------------------------------------------------------------------ theme
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("report-theme"); } catch { return null; } };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  const told = () => button.setAttribute("aria-pressed", String(isDark()));
  const theme = asked.get("theme") || kept();
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("report-theme", root.dataset.theme); } catch { /* not from a file */ }
    told();
  });
  system.addEventListener("change", told);
  told();

  // ---------------------------------------------------------------- choices
  const choose = (input) => {
    for (const part of document.querySelectorAll("[data-group]"))
      if (part.dataset.group === input.name)
        part.classList.toggle("off", part.dataset.value !== input.value);
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches(".chooser input")) choose(event.target);
  });
  for (const input of document.querySelectorAll(".chooser input"))
    if (asked.get(input.name) === input.value) input.checked = true;
  for (const input of document.querySelectorAll(".chooser input:checked")) choose(input);

  // ----------------------------------------------------------------- sounds
  const decoded = new Map();
  let context = null;
  let playing = null; // { node, button }

  const decode = (id) => {
    if (!decoded.has(id)) {
      const text = atob(document.getElementById(id).src.split(",")[1]);
      const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      decoded.set(id, context.decodeAudioData(bytes.buffer));
    }
    return decoded.get(id);
  };

  // The spans (seconds) of a sound one after the other, `pause` seconds apart, `gain` times louder.
  const excerpt = (sound, spans, pause, gain) => {
    const rate = sound.sampleRate;
    const edges = spans.map(([begin, end]) =>
      [Math.round(begin * rate), Math.min(Math.round(end * rate), sound.length)]);
    const gap = Math.round(pause * rate);
    const total = edges.reduce((sum, [begin, end]) => sum + end - begin + gap, 0);
    const result = context.createBuffer(1, Math.max(1, total), rate);
    const from = sound.getChannelData(0), to = result.getChannelData(0);
    const places = []; // [time in the excerpt, begin and end in the sound], seconds
    let at = 0;
    for (const [begin, end] of edges) {
      places.push([at / rate, begin / rate, end / rate]);
      for (let k = begin; k < end; k++)
        to[at++] = Math.max(-1, Math.min(1, from[k] * gain));
      at += gap;
    }
    return { buffer: result, places };
  };

  const stop = () => {
    if (!playing) return;
    const { node, button } = playing;
    playing = null;
    node.onended = null;
    node.stop();
    button.setAttribute("aria-pressed", "false");
    hideCursors();
  };

  const play = async (button) => {
    const again = playing && playing.button === button;
    stop();
    for (const audio of document.querySelectorAll("audio")) audio.pause();
    if (again) return;
    context = context || new AudioContext();
    await context.resume();
    const sound = await decode(button.dataset.of);
    const { buffer, places } = excerpt(sound, JSON.parse(button.dataset.spans),
      Number(button.dataset.pause), 10 ** (Number(button.dataset.gain) / 20));
    stop();
    const node = context.createBufferSource();
    node.buffer = buffer;
    node.connect(context.destination);
    node.onended = stop;
    playing = { node, button };
    button.setAttribute("aria-pressed", "true");
    const start = context.currentTime;
    node.start();
    follow(button.dataset.of, () => {
      if (!playing || playing.node !== node) return null;
      const now = context.currentTime - start;
      const place = places.filter(([at]) => at <= now).pop();
      return place ? Math.min(place[1] + now - place[0], place[2]) : 0;
    });
  };

  const hideCursors = () => {
    for (const cursor of document.querySelectorAll(".cursor")) cursor.remove();
  };
  const follow = (id, time) => {
    hideCursors();
    const fields = [...document.querySelectorAll(".field[data-sound]")]
      .filter((field) => field.dataset.sound === id);
    const cursors = fields.map((field) => {
      const cursor = field.appendChild(document.createElement("div"));
      cursor.className = "cursor";
      return [cursor, field];
    });
    const move = () => {
      const now = time();
      if (now === null) return;
      for (const [cursor, field] of cursors) {
        const [low, high] = JSON.parse(field.dataset.range);
        cursor.style.left = `${100 * (now - low) / (high - low)}%`;
      }
      requestAnimationFrame(move);
    };
    move();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-of]");
    if (button) { play(button); return; }
    const field = event.target.closest(".field[data-sound]");
    const audio = field && document.getElementById(field.dataset.sound);
    if (audio) {
      const [low, high] = JSON.parse(field.dataset.range);
      const box = field.getBoundingClientRect();
      audio.currentTime = low + (high - low) * (event.clientX - box.left) / box.width;
      audio.play();
    }
  });
  document.addEventListener("play", (event) => {
    stop();
    for (const audio of document.querySelectorAll("audio"))
      if (audio !== event.target) audio.pause();
    const { id } = event.target;
    follow(id, () => event.target.paused ? null : event.target.currentTime);
  }, true);
})();
