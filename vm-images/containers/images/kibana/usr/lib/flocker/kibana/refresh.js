"use strict";
// Replaces the content every few seconds, unless somebody is reading a traceback.
setInterval(async () => {
  if (document.hidden || document.querySelector("details[open]")) return;
  const state = document.getElementById("state");
  try {
    const url = new URL(location.href);
    url.searchParams.set("refresh", "1");
    const text = await (await fetch(url)).text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    document.getElementById("content").replaceWith(fresh.getElementById("content"));
    state.replaceWith(fresh.getElementById("state"));
  } catch {
    state.className = "away";
    state.textContent = "away";
  }
}, 5000);
