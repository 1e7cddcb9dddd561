// Asks both models, shows their answers as they are written, and keeps a vote on them.
"use strict";
(() => {
  const ask = document.getElementById("ask"), vote = document.getElementById("vote");
  const status = document.getElementById("status"), stop = document.getElementById("stop");
  const sides = { left: document.getElementById("left"), right: document.getElementById("right") };
  const names = { left: document.getElementById("name-left"), right: document.getElementById("name-right") };
  const TITLES = { left: "Answer A", right: "Answer B" };
  let reading = null;

  const say = (text, bad = false) => {
    status.textContent = text;
    status.classList.toggle("bad", bad);
  };
  const each = (act) => Object.keys(sides).forEach(act);
  const votable = (can) => vote.querySelectorAll("button").forEach((button) => { button.disabled = !can; });
  const writing = (on) => {
    each((side) => sides[side].classList.toggle("writing", on));
    stop.hidden = !on;
    ask.querySelector("button.main").disabled = on;
  };
  const reveal = (side, name, picked) => {
    const label = document.createElement("span");
    label.className = picked ? "revealed picked" : "revealed";
    label.textContent = name;
    names[side].append(label);
  };
  const message = async (answer) => (await answer.json().catch(() => ({}))).message ?? "The server refused.";

  const take = (event) => {
    if (event.kind === "loading") say("Loading a model…");
    else if (event.kind === "piece") { say("Writing…"); sides[event.side].textContent += event.text; }
    else if (event.kind === "same") say("Both said the same: there is nothing to judge.");
    else if (event.kind === "failed") say(event.hint ? `${event.message} (${event.hint})` : event.message, true);
    else if (event.kind === "done") {
      vote.querySelector("[name=item]").value = event.item; // elements.item is a method
      votable(true);
      say("Both are done. Which is better?");
    }
  };

  ask.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (reading) return;
    reading = new AbortController();
    const fields = new FormData(ask);
    each((side) => { sides[side].textContent = ""; names[side].textContent = TITLES[side]; });
    if (fields.get("blind") !== "on") { reveal("left", fields.get("one")); reveal("right", fields.get("other")); }
    vote.hidden = false;
    vote.elements.reason.value = "";
    votable(false);
    writing(true);
    say("Asking…");
    if (vote.getBoundingClientRect().top > innerHeight / 2) status.scrollIntoView();
    try {
      const answer = await fetch(ask.getAttribute("action"), {
        method: "POST", body: new URLSearchParams(fields), headers: { accept: "application/json" }, signal: reading.signal,
      });
      if (!answer.ok) say(await message(answer), true);
      else {
        const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await lines.read();
          if (done) break;
          const whole = (rest + value).split("\n");
          rest = whole.pop();
          whole.forEach((line) => take(JSON.parse(line)));
        }
      }
    } catch (error) {
      say(error.name === "AbortError" ? "Stopped." : "The server can’t be reached.", error.name !== "AbortError");
    }
    writing(false);
    reading = null;
  });
  stop.addEventListener("click", () => reading?.abort());
  ask.elements.prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask.requestSubmit(); }
  });

  vote.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!event.submitter) return;
    const choice = event.submitter.value;
    const fields = new URLSearchParams(new FormData(vote, event.submitter));
    votable(false);
    let answer;
    try {
      answer = await fetch(vote.getAttribute("action"), {
        method: "POST", body: fields, headers: { accept: "application/json" },
      });
    } catch {
      votable(true);
      say("The server can’t be reached: nothing was kept. Vote again.", true);
      return;
    }
    if (!answer.ok) { say(await message(answer), true); return; }
    const kept = await answer.json();
    each((side) => { names[side].textContent = TITLES[side]; reveal(side, kept[side], side === choice); });
    say(kept.outcome === "conflict"
      ? "You have judged these very answers before; what you said first stands."
      : "Kept as a label. Ask something else.");
  });
})();
