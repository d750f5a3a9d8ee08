/* The message of a Telegram bot: buttons that put tags around what is selected, and a count.
   Without this script the tags are typed, and the server counts when it saves. */
(() => {
  "use strict";

  const form = document.querySelector("[data-telegram]");
  const text = form?.querySelector("[data-telegram-body]");
  if (!text) return;
  const count = form.querySelector("[data-telegram-count]");
  const [warn, most] = [Number(form.dataset.warn), Number(form.dataset.max)];

  const tools = form.querySelector("[data-telegram-tools]");
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const tag = event.target.closest("[data-tag]")?.dataset.tag;
    if (!tag) return;
    const { selectionStart: start, selectionEnd: end, value } = text;
    const chosen = value.slice(start, end);
    const [before, after] = tag === "a" ? ['<a href="https://">', "</a>"] : [`<${tag}>`, `</${tag}>`];
    text.focus();
    text.setRangeText(before + (chosen || (tag === "a" ? "link" : "")) + after, start, end, "end");
    // Of a link its address is typed next, of anything else what stands in it.
    const at = tag === "a" ? start + before.length - 2 : start + before.length;
    if (tag === "a" || !chosen) text.setSelectionRange(at, at);
    text.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // As it is read: neither tags nor keywords. A string's length is in UTF-16, as Telegram counts.
  const reader = document.createElement("textarea");
  function length() {
    reader.innerHTML = text.value.replace(/<[^>]*>/g, "");
    return reader.value.trim().length;
  }

  function tell() {
    const used = length();
    const number = (n) => n.toLocaleString("en-SG");
    const over = used > most ? ` Take out ${number(used - most)}.` : used > warn ? " This is long." : "";
    count.textContent = `${number(used)} of ${number(most)} characters, keywords as they are written.${over}`;
    count.classList.toggle("field-error", used > most);
  }

  let waiting;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(tell, 300);
  });
  tell();
})();
