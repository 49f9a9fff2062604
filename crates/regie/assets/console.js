// Regie's pages work without this. It keeps figures live (server-sent events), swaps parts of pages,
// copies snippets and asks before what cannot be taken back lightly. No dependency, no inline code.
"use strict";
(() => {
  let dirty = false;
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Figures: <... data-live="campaigns.cam_1.impressions"> gets the value of that path.
  const read = (data, path) => path.split(".").reduce((at, key) => (at == null ? at : at[key]), data);
  const set = (node, text) => {
    if (node.textContent === text) return;
    node.textContent = text;
    node.classList.remove("flash");
    void node.offsetWidth;
    node.classList.add("flash");
  };
  const paint = (data) => {
    all("[data-live]").forEach((node) => {
      const value = read(data, node.dataset.live);
      if (value != null) set(node, String(value));
    });
    all("progress[data-live-value]").forEach((node) => {
      const value = read(data, node.dataset.liveValue);
      if (value != null) node.value = value;
    });
  };

  // The sparkline of impressions a second: the last minute, drawn from differences.
  const points = [];
  let last = null;
  const spark = (total) => {
    const line = one("[data-spark]");
    if (!line || total == null) return;
    if (last != null) points.push(Math.max(0, total - last));
    last = total;
    if (points.length > 60) points.shift();
    const top = Math.max(1, ...points);
    const shape = points.map((v, i) => `${((60 - points.length + i) * 10).toFixed(0)},${(58 - (v / top) * 52).toFixed(1)}`);
    line.setAttribute("points", shape.join(" "));
    const label = one("[data-spark-max]");
    if (label) label.textContent = label.dataset.sparkMax.replace("{n}", top);
  };

  const status = one("[data-live-status]");
  const source = one("[data-live-source]");
  if (source && "EventSource" in window) {
    let events = null;
    const open = () => {
      events = new EventSource(source.dataset.liveSource);
      events.onopen = () => status && (status.classList.add("on"), (status.lastChild.textContent = status.dataset.liveStatus));
      events.onerror = () => status && (status.classList.remove("on"), (status.lastChild.textContent = status.dataset.lost));
      events.onmessage = (event) => {
        const data = JSON.parse(event.data);
        paint(data);
        spark(data.impressions_count);
      };
    };
    open();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { events.close(); last = null; } else { open(); }
    });
  }

  // Parts of a page: <form data-swap="#id"> replaces that element with the one of the answer.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if (question && !window.confirm(question)) { event.preventDefault(); return; }
    const target = form.dataset.swap && one(form.dataset.swap);
    if (!target || form.method !== "get") return;
    event.preventDefault();
    const url = new URL(form.action);
    url.search = new URLSearchParams(new FormData(form)).toString();
    try {
      const answer = await fetch(url, { headers: { accept: "text/html" }, credentials: "same-origin" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(form.dataset.swap);
      if (!fresh) throw new Error("no such part");
      target.replaceWith(fresh);
      history.replaceState(null, "", url);
    } catch { form.submit(); }
  });

  // Parts that change by themselves: <div id="x" data-refresh="1000"> is fetched anew until it no longer says so.
  const refresh = (node) => setTimeout(async () => {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(node.id);
      if (!fresh) return location.reload();
      node.replaceWith(fresh);
      if (fresh.dataset.refresh) refresh(fresh);
    } catch { refresh(node); }
  }, Number(node.dataset.refresh) || 2000);
  all("[data-refresh]").forEach(refresh);

  // What scrolls sideways can be reached by the keyboard.
  const reach = () => all(".scroll, .preview, .adbox, figure, pre").forEach((node) => {
    if (node.scrollWidth > node.clientWidth + 1) node.tabIndex = 0; else node.removeAttribute("tabindex");
  });
  reach();
  window.addEventListener("resize", reach);

  // Snippets: <button data-copy="#id">.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    const from = button && one(button.dataset.copy);
    if (!from) return;
    await navigator.clipboard.writeText(from.textContent);
    const before = button.textContent;
    button.textContent = button.dataset.copied ?? button.textContent;
    setTimeout(() => (button.textContent = before), 1500);
  });

  // What was typed and not saved waits in this tab: a session's end or a lost page does not take it along.
  const fields = (form) => all("input, select, textarea", form).filter((f) => f.name && f.name !== "csrf" && f.name !== "revision" && !["password", "file", "hidden"].includes(f.type));
  const state = (form) => JSON.stringify(fields(form).map((f) => [f.name, f.type === "checkbox" || f.type === "radio" ? f.checked : f.value]));
  all("form[data-guard]").forEach((form) => {
    const key = `kept:${location.pathname}${location.search}`;
    const before = state(form);
    // A form that is kept as a draft came back with what was sent from it.
    if ("drafted" in form.dataset && sessionStorage.getItem("sent") === key) sessionStorage.removeItem(key);
    const kept = sessionStorage.getItem(key);
    if (kept && kept !== before && !one("[role=alert]")) {
      const note = document.createElement("div");
      note.className = "note warn";
      note.setAttribute("role", "status");
      const words = document.createElement("p");
      words.textContent = `${form.dataset.kept} `;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = form.dataset.restore;
      button.addEventListener("click", () => {
        const values = JSON.parse(kept);
        fields(form).forEach((f, i) => {
          const [name, value] = values[i] || [];
          if (name !== f.name) return;
          if (typeof value === "boolean") f.checked = value; else f.value = value;
        });
        dirty = true;
        note.remove();
      });
      words.append(button);
      note.append(words);
      form.before(note);
    }
    form.addEventListener("input", () => sessionStorage.setItem(key, state(form)));
    // Sent: kept until the page that follows shows that it arrived.
    form.addEventListener("submit", () => { sessionStorage.setItem(key, state(form)); sessionStorage.setItem("sent", key); });
  });
  const sent = sessionStorage.getItem("sent");
  if (sent && !one("[role=alert]") && !location.pathname.startsWith("/console/sign-in") && sent !== `kept:${location.pathname}${location.search}`) {
    sessionStorage.removeItem(sent);
    sessionStorage.removeItem("sent");
  }

  // A part of the page follows what is typed, a moment later, by the button that would fetch it: <button data-follow="#part">.
  // A chosen file goes at once, by the button of that value: <input type=file data-send="look">.
  all("form[data-guard]").forEach((form) => {
    let wait = null;
    let asked = 0;
    form.addEventListener("change", (event) => {
      const send = event.target.dataset.send;
      if (send) { form.requestSubmit(all("button[name=go]", form).find((b) => b.value === send)); return; }
      const button = one("button[data-follow]", form);
      if (!button) return;
      clearTimeout(wait);
      wait = setTimeout(async () => {
        const number = ++asked;
        const data = new FormData(form);
        data.set(button.name, button.value);
        try {
          const answer = await fetch(form.action, { method: "POST", body: data, credentials: "same-origin" });
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const parts = [button.dataset.follow, "#kept"].map((id) => [one(id), page.querySelector(id)]);
          if (number !== asked) return;
          parts.forEach(([old, fresh]) => {
            if (!old || !fresh) return;
            const hadFocus = old.contains(document.activeElement);
            old.replaceWith(fresh);
            if (hadFocus) one("button", fresh)?.focus();
          });
          if (parts[1][0] && parts[1][1]) { dirty = false; sessionStorage.removeItem(`kept:${location.pathname}${location.search}`); }
        } catch { /* the button still asks */ }
      }, 500);
    });
  });

  // Leaving a form with unsaved edits asks first.
  document.addEventListener("input", (event) => { if (event.target.closest?.("form[data-guard]")) dirty = true; });
  document.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
})();
