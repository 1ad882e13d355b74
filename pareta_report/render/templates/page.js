// Folded sections are not printed.
addEventListener("beforeprint", () => {
  // With many comparisons only reasons and scores: the details would fill dozens of pages.
  const many = document.body.classList.contains("many");
  document.querySelectorAll(many ? ".verdict details, .comparison > details:not(.more)" : "details.more").forEach((part) => { part.open = true; });
});
(() => {
  const controls = document.getElementById("controls");
  if (!controls) return;
  const rows = [...document.querySelectorAll(".row")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = document.getElementById("search");
  const matches = document.getElementById("matches");
  const chips = [...controls.querySelectorAll("button")];
  let state = "";
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = (!state || row.dataset.state === state) && words.every((word) => texts[i].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    matches.textContent = state || words.length ? `${shown} of ${rows.length}` : "";
  };
  chips.forEach((chip) => chip.addEventListener("click", () => {
    state = chip.dataset.state;
    chips.forEach((other) => other.setAttribute("aria-pressed", String(other === chip)));
    show();
  }));
  search.addEventListener("input", show);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
})();
// Mark tables that are wider than their container; a folded one has no width yet.
(() => {
  const containers = document.querySelectorAll(".scroll");
  const update = () => containers.forEach((each) => each.classList.toggle("overflows", each.scrollWidth > each.clientWidth + 1));
  addEventListener("resize", update);
  document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", update));
  update();
})();
