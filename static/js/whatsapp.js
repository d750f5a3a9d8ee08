/* The preview of a WhatsApp message while it is filled in.

   <form data-whatsapp>: radio buttons `language`, a field `values.<param>` for each gap.
   #texts: { code: { body, lang } }.  [data-whatsapp-preview]: where the text is shown. */
(() => {
  "use strict";

  const form = document.querySelector("form[data-whatsapp]");
  const shown = document.querySelector("[data-whatsapp-preview]");
  const source = document.getElementById("texts");
  if (!form || !shown || !source) return;
  const texts = JSON.parse(source.textContent);
  const looks = { b: "strong", strong: "strong", i: "em", em: "em" };

  function valueOf(name) {
    if (name === "passcode") return "····";
    const field = form.elements.namedItem(`values.${name}`);
    return field ? field.value : "";
  }

  function show() {
    const text = texts[form.elements.namedItem("language").value];
    if (!text) return;
    shown.lang = text.lang;
    shown.replaceChildren();
    let place = shown;
    // Gaps, and the few tags of a template; everything else is text and stays text.
    for (const part of text.body.split(/(\{\{ *[a-z][a-z0-9_]* *\}\}|<\/?(?:b|i|strong|em)>)/i)) {
      const gap = /^\{\{ *([a-z][a-z0-9_]*) *\}\}$/.exec(part);
      const tag = /^<(\/?)(b|i|strong|em)>$/i.exec(part);
      if (gap) {
        const value = valueOf(gap[1]);
        const mark = document.createElement("mark");
        mark.textContent = part;
        place.append(value || mark);
      } else if (tag && tag[1]) {
        place = place === shown ? shown : place.parentNode;
      } else if (tag) {
        const look = document.createElement(looks[tag[2].toLowerCase()]);
        place.append(look);
        place = look;
      } else {
        place.append(part);
      }
    }
  }

  form.addEventListener("input", show);
  show();
})();
