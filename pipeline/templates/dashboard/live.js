// Replaces the content of the page with what the server renders now. Focus, scroll positions and opened details stay.
(() => {
  const content = document.getElementById("content"), state = document.getElementById("state");
  const every = 1000 * Number(document.currentScript.dataset.every);
  const clock = () => new Date().toLocaleTimeString();
  let tag = "", failing = false;

  const inUse = () =>
    document.hidden || content.querySelector("select:focus, input:focus") || String(document.getSelection()).length > 0;

  function place(html) {
    const reachable = () => [...content.querySelectorAll("a[href], button, [tabindex]")];
    const key = (e) => e.getAttribute("href") || `${e.tagName} ${[...content.querySelectorAll(e.tagName)].indexOf(e)}`;
    const focused = content.contains(document.activeElement) ? key(document.activeElement) : null;
    const scrolled = [...content.querySelectorAll(".scroll")].map((e) => e.scrollLeft);
    const open = [...content.querySelectorAll("details")].map((e) => e.open);
    const top = window.scrollY;
    content.innerHTML = html;
    content.querySelectorAll(".scroll").forEach((e, n) => { e.scrollLeft = scrolled[n] || 0; });
    content.querySelectorAll("details").forEach((e, n) => { e.open = open[n] || e.open; });
    if (focused !== null) {
      reachable().find((e) => key(e) === focused)?.focus({ preventScroll: true });
    }
    window.scrollTo(0, top);
  }

  async function update() {
    if (inUse()) return;
    try {
      const answer = await fetch(location.href, { headers: { "fasttier-part": "content", "if-none-match": tag } });
      if (!answer.ok && answer.status !== 304) throw new Error((await answer.text()).slice(0, 200) || answer.status);
      if (answer.status !== 304) {
        const html = await answer.text();
        if (inUse()) return;
        place(html);
        tag = answer.headers.get("etag") || "";
        state.textContent = `updated ${clock()}`;
      } else if (failing) {
        state.textContent = `updated ${clock()}`;
      }
      failing = false;
    } catch (error) {
      if (!failing) state.textContent = `not updated since ${clock()}: ${error.message}`;
      failing = true;
    }
  }

  setInterval(update, every);
  document.addEventListener("visibilitychange", update);
})();
