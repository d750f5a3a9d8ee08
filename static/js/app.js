/* What every page does better with JavaScript; each works without.

   data-focus              takes the focus when the page opens or the part is swapped in (error summary)
   data-copy="text"        a hidden button: shown here, copies its text
   data-seconds="30"       a button that may be pressed only in so many seconds (resend)
   data-remaining          an input with maxlength: says how many characters are left
   data-guard              a form: asks before what was typed is lost
   data-again              a form that may be sent twice, such as one that answers with a file
   data-menu               a <details> that closes on Escape and on a click elsewhere
*/
(() => {
  "use strict";

  const all = (root, selector) =>
    [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];

  // What is said aloud to a screen reader without being shown.
  const announcer = document.createElement("div");
  announcer.className = "visually-hidden";
  announcer.setAttribute("role", "status");

  function announce(text) {
    announcer.textContent = "";
    setTimeout(() => { announcer.textContent = text; }, 50);
  }

  function enhance(root) {
    all(root, "[data-copy]").forEach((button) => { button.hidden = false; });
    all(root, "button[data-seconds]").forEach(countDown);
    all(root, "input[data-remaining][maxlength]").forEach(showRemaining);
    // On a phone a row of tabs may be wider than the page: show the one that is open.
    all(root, ".tabs [aria-current]")[0]?.scrollIntoView({block: "nearest", inline: "nearest"});
    all(root, "[data-focus]")[0]?.focus();
  }

  // Copying ----------------------------------------------------------------------------------

  async function copy(button) {
    const words = button.innerHTML;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      // No clipboard here (plain HTTP, or not allowed): leave it selected for Ctrl+C.
      const code = button.parentElement.querySelector("code");
      if (code) getSelection().selectAllChildren(code);
      announce("Selected. Press Control and C to copy.");
      return;
    }
    announce("Copied");
    button.textContent = "Copied";
    setTimeout(() => { button.innerHTML = words; }, 2000);
  }

  // Waiting ----------------------------------------------------------------------------------

  function countDown(button) {
    const words = button.textContent;
    // By the clock, because a browser slows the timers of a tab nobody looks at.
    const end = Date.now() + Number(button.dataset.seconds) * 1000;
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      button.disabled = left > 0;
      button.textContent = left > 0 ? `${words.trim()} (in ${left} s)` : words;
      if (left > 0) setTimeout(tick, 1000);
    };
    button.removeAttribute("data-seconds");
    tick();
  }

  function showRemaining(input) {
    const note = document.createElement("p");
    note.className = "hint";
    note.id = `${input.id}_remaining`;
    const show = () => {
      const left = input.maxLength - input.value.length;
      note.textContent = `${left} ${left === 1 ? "character" : "characters"} left`;
    };
    input.removeAttribute("data-remaining");
    input.setAttribute(
      "aria-describedby", `${input.getAttribute("aria-describedby") || ""} ${note.id}`.trim());
    input.after(note);
    input.addEventListener("input", show);
    show();
  }

  // Sending once -----------------------------------------------------------------------------

  function buttonsOf(form) {
    return [...form.elements].filter((element) => element.type === "submit");
  }

  function sendOnce(event) {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || "again" in form.dataset) return;
    if ("sent" in form.dataset) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    // aria-disabled keeps the focus and the button's own value; the check above does the refusing.
    buttonsOf(form).forEach((button) => button.setAttribute("aria-disabled", "true"));
  }

  function allowAgain() {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      buttonsOf(form).forEach((button) => button.removeAttribute("aria-disabled"));
    });
  }

  // Typed and not sent -----------------------------------------------------------------------

  const typed = new Set();

  // htmx saves some forms while they are written; what is typed meanwhile counts anew.
  function forgetSaved({ target, detail }) {
    if (target.matches?.("form[data-guard]")) typed.delete(target);
    if (detail.xhr) detail.xhr.addEventListener("loadend", () => {
      if (detail.xhr.status !== 200 && target.isConnected) typed.add(target);
    });
  }

  function warnOfLoss(event) {
    const lost = [...typed].some((form) => form.isConnected && !("sent" in form.dataset));
    if (lost) event.preventDefault();
  }

  // htmx -------------------------------------------------------------------------------------

  function sessionIsOver(event) {
    // A poll that was sent on to the sign-in page must not be swapped into this one.
    const login = document.body.dataset.loginUrl;
    const answered = event.detail.xhr.responseURL;
    if (login && answered && new URL(answered).pathname === login) {
      event.detail.shouldSwap = false;
      typed.clear();
      location.reload();
    }
  }

  function outOfReach() {
    if (document.getElementById("out-of-reach")) return;
    const note = document.createElement("p");
    note.id = "out-of-reach";
    note.className = "alert alert-warning";
    note.textContent = "Postman cannot be reached just now. This page goes on by itself.";
    document.getElementById("flash")?.append(note);
  }

  // Wiring -----------------------------------------------------------------------------------

  function closeMenus(except) {
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (menu !== except) menu.open = false;
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    closeMenus(event.target.closest("details[data-menu]"));
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details[data-menu][open]");
    if (!menu) return;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  });
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form && "guard" in form.dataset) typed.add(form);
  });
  document.addEventListener("submit", sendOnce);
  window.addEventListener("pageshow", allowAgain);
  window.addEventListener("beforeunload", warnOfLoss);
  document.addEventListener("htmx:load", (event) => {
    if (event.detail.elt !== document.body) enhance(event.detail.elt);
  });
  document.addEventListener("htmx:beforeSwap", sessionIsOver);
  document.addEventListener("htmx:beforeSend", forgetSaved);
  document.addEventListener("htmx:sendError", outOfReach);
  document.addEventListener("htmx:responseError", outOfReach);
  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (event.detail.successful) document.getElementById("out-of-reach")?.remove();
  });
  // upload.js says this when it has put another page's main part in place.
  document.addEventListener("postman:swap", (event) => { allowAgain(); enhance(event.target); });

  document.body.append(announcer);
  enhance(document);
})();
