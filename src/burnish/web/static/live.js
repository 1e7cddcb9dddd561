// Shows what the server sends: the live part of a page, drawn there, whenever it changed.
"use strict";
(() => {
  const place = document.querySelector("[data-live]");
  if (!place) return;
  const source = new EventSource(place.dataset.live);
  source.addEventListener("live", (event) => {
    const active = document.activeElement;
    const held = place.contains(active) ? active.getAttribute("href") : null;
    place.innerHTML = event.data;
    if (held) place.querySelector(`[href="${CSS.escape(held)}"]`)?.focus();
  });
  source.addEventListener("over", () => source.close());
  addEventListener("pagehide", () => source.close());
})();
