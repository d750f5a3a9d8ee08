/* The languages of a text as tabs. Without this they stand below one another, each under its name.

   <nav data-language-tabs hidden><a href="#body-english">English</a> …</nav>
   <section id="body-english" data-language-panel>…</section> …

   The tab that opens: the one named in the address, else the first with an error, else the first. */
(() => {
  "use strict";

  const list = document.querySelector("[data-language-tabs]");
  const panels = [...document.querySelectorAll("[data-language-panel]")];
  if (!list || panels.length < 2) return;

  const tabs = panels.map((panel) => list.querySelector(`a[href="#${panel.id}"]`));

  function open(index, { focus = false } = {}) {
    panels.forEach((panel, at) => {
      panel.hidden = at !== index;
      tabs[at].setAttribute("aria-selected", String(at === index));
      tabs[at].tabIndex = at === index ? 0 : -1;
    });
    if (focus) tabs[index].focus();
  }

  function indexOfTarget(hash) {
    const target = hash.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)));
    return target ? panels.findIndex((panel) => panel.contains(target)) : -1;
  }

  list.hidden = false;
  list.setAttribute("role", "tablist");
  tabs.forEach((tab, at) => {
    tab.id = `tab-${panels[at].id}`;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panels[at].id);
    panels[at].setAttribute("role", "tabpanel");
    panels[at].setAttribute("aria-labelledby", tab.id);
    panels[at].removeAttribute("aria-label");
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      open(at);
    });
  });

  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  list.addEventListener("keydown", (event) => {
    const now = tabs.indexOf(document.activeElement);
    const ends = { Home: 0, End: tabs.length - 1 };
    if (now < 0) return;
    if (event.key in steps) open((now + steps[event.key] + tabs.length) % tabs.length, { focus: true });
    else if (event.key in ends) open(ends[event.key], { focus: true });
    else return;
    event.preventDefault();
  });

  // A link of the error summary may lead into a tab that is closed.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const index = link && !tabs.includes(link) ? indexOfTarget(link.hash) : -1;
    if (index >= 0) open(index);
  });

  const faulty = panels.findIndex((panel) => panel.querySelector(".field-invalid"));
  open(Math.max(0, faulty >= 0 ? faulty : indexOfTarget(location.hash)));
})();
