// Keys for the labelling pages, the time a judgement took, and votes that wait out a server that is down.
// Without this script the pages are plain forms and work as well.
"use strict";
(() => {
  const WAITING = "burnish-vote", KEYS = "burnish-keys", RETRY_MS = 2000;
  const form = document.querySelector("form[data-judging]");
  const status = document.querySelector("[data-status]");
  const toggle = document.querySelector("[data-keys]");
  const opened = performance.now();
  let sending = false;

  const say = (text, bad = false) => {
    if (!status) return;
    status.textContent = text;
    status.classList.toggle("bad", bad);
  };

  // A vote is kept in the browser until the server has said that it has it. The server keeps it once, however often
  // it arrives.
  const send = async (vote) => {
    sending = true;
    for (;;) {
      let answer;
      try {
        answer = await fetch(vote.action, {
          method: "POST", body: new URLSearchParams(vote.fields), headers: { accept: "application/json" },
        });
      } catch {
        say("The server can’t be reached. Your choice waits here and is sent again.", true);
        await new Promise((done) => setTimeout(done, RETRY_MS));
        continue;
      }
      if (answer.status === 403) {
        say("The app was started anew: open the link that it printed, in this browser. Your choice waits here.", true);
        return;
      }
      localStorage.removeItem(WAITING);
      if (answer.ok) {
        location.assign((await answer.json()).next);
        return;
      }
      const said = await answer.json().catch(() => ({ message: "The server could not keep it." }));
      say(said.message, true);
      sending = false;
      return;
    }
  };

  const submit = (event) => {
    event.preventDefault();
    if (sending || !event.submitter) return;
    form.elements.seconds.value = ((performance.now() - opened) / 1000).toFixed(1);
    const fields = Object.fromEntries(new FormData(form, event.submitter));
    const vote = { action: form.getAttribute("action"), fields };
    localStorage.setItem(WAITING, JSON.stringify(vote));
    send(vote);
  };

  const pressed = (event) => {
    const writes = event.target.matches("input:not([type=checkbox]), textarea");
    if (writes && event.key === "Escape") event.target.blur();
    if (writes || event.ctrlKey || event.metaKey || event.altKey || event.repeat || (toggle && !toggle.checked)) return;
    const key = CSS.escape(event.key.toLowerCase());
    const button = document.querySelector(`[data-key="${key}"]:not(:disabled)`);
    const field = document.querySelector(`[data-focus-key="${key}"]`);
    if (!button && !field) return;
    event.preventDefault();
    if (button) button.click();
    else field.focus();
  };

  if (toggle) {
    toggle.checked = localStorage.getItem(KEYS) !== "off";
    const show = () => document.body.classList.toggle("no-keys", !toggle.checked);
    toggle.addEventListener("change", () => {
      localStorage.setItem(KEYS, toggle.checked ? "on" : "off");
      show();
    });
    show();
  }
  document.addEventListener("keydown", pressed);
  document.body.dataset.ready = "";
  if (!form) return;
  form.addEventListener("submit", submit);
  // Enter in the reason must not choose an answer.
  form.elements.reason?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); event.target.blur(); }
  });
  const waiting = JSON.parse(localStorage.getItem(WAITING) ?? "null");
  if (waiting && waiting.fields.annotator === form.dataset.name && waiting.action === form.getAttribute("action")) {
    say("Sending the choice that waited here…");
    waiting.fields.csrf = form.elements.csrf.value;
    send(waiting);
  }
})();
