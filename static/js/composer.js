/* The composer: counts, names, marks and previews an SMS while it is typed. The server says all of
   it again when the form is sent; its tables (campaigns/sms.py) are read here, not repeated.

   {% load postman %}{% sms_tables %}                     once a page, before or after the root
   <div data-composer                                     one root for each text on the page
        data-language="english"                           or a control, see below
        data-header="Ministry of Health" data-footer="…"  what stands around the text
        data-notice=""                                    the training notice, if any
        data-lang="en">                                   lang attribute of the preview (optional)
     <textarea data-composer-body>…</textarea>            the text; gets its marks from here
     <p data-composer-count></p>                          "128 of 1,000 characters, without variables"
     <p data-composer-segments></p>                       "At least 2 segments"
     <p data-composer-encoding></p>                       "Plain characters (GSM-7)" or what makes it Unicode
     <div data-composer-problems role="status"></div>     a list, empty when all is well
     <ul data-composer-variables></ul>                    the names in use (optional)
     <button type="button" data-composer-replace hidden>Replace with plain characters</button>
     {% include "_phone.html" with text=… live=True %}    holds [data-composer-preview]
   </div>

   Values are read from the inputs named values.<name> inside the root; without one, a variable
   counts nothing and stays {{name}} in the preview.

   Where nobody types the text (a single message), leave the textarea out and give the texts:
     {{ texts|json_script:"texts" }}   {"english": {"body", "header", "footer", "lang"}, …}
     <div data-composer data-composer-texts="texts" data-notice="…"> … 
     <select data-composer-language name="language">…      (or radio buttons); chooses the text

   The root has data-state="ok", "warn" (long), or "over" (too long), and fires "composer:measured"
   with the measure as its detail. window.PostmanSms holds the pure functions, for tests. */
(() => {
  "use strict";

  const source = document.getElementById("sms-tables");
  if (!source) return;
  const tables = JSON.parse(source.textContent);

  // Counting, as campaigns.sms does -----------------------------------------------------------

  const basic = new Set(tables.basic);
  const gsm = new Set(tables.basic + tables.extension);
  const anyOf = (ranges) => new RegExp(
    `[${ranges.map((range) => range.map((code) => `\\u{${code.toString(16)}}`).join("-")).join("")}]`,
    "u");
  const emoji = anyOf(tables.emoji);
  const invisible = anyOf(tables.invisible);
  const broken = anyOf(tables.broken);
  // Written in their own script, and so in Unicode whatever the punctuation.
  const UNICODE_LANGUAGES = ["chinese", "tamil"];

  function measure(text) {
    const chars = [...text];
    const encoding = chars.every((char) => gsm.has(char)) ? "GSM-7" : "UCS-2";
    const double = encoding === "GSM-7" ? (char) => !basic.has(char) : (char) => char > "\uffff";
    const costs = chars.map((char) => (char.codePointAt(0) > 0xffff || double(char) ? 2 : 1));
    const units = costs.reduce((sum, cost) => sum + cost, 0);
    const [single, joined] = tables.segments[encoding];
    return {
      characters: chars.length, units, encoding,
      segments: units <= single ? 1 : pack(costs, joined),
    };
  }

  // A character that costs two is never split between segments.
  function pack(costs, size) {
    let [segments, room] = [1, size];
    for (const cost of costs) {
      if (cost > room) [segments, room] = [segments + 1, size];
      room -= cost;
    }
    return segments;
  }

  function isBlocked(char, language) {
    if (language === "tamil" && tables.joiners.includes(char)) return false;
    return char in tables.blocked || emoji.test(char) || invisible.test(char) || broken.test(char);
  }

  // What to write instead: nothing for an invisible character, null where there is no equal.
  function replacement(char) {
    if (char in tables.blocked) return tables.blocked[char];
    if (char in tables.replacements) return tables.replacements[char];
    if (broken.test(char)) return null;
    if (invisible.test(char) || emoji.test(char)) return "";
    const plain = char.normalize("NFKC");
    if (plain !== char && [...plain].every((other) => basic.has(other))) return plain;
    const letter = [...char.normalize("NFD")][0];
    return letter !== char && letter < "\u0080" ? letter : null;
  }

  function nameOf(char) {
    const code = `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    if (broken.test(char)) return `a damaged character (${code})`;
    if (emoji.test(char)) return /\p{Mn}|\p{Cf}/u.test(char) ? `an emoji sign (${code})` : `the emoji ${char}`;
    if (invisible.test(char)) return `an invisible character (${code})`;
    return tables.names[char] || `${char} (${code})`;
  }

  // Reading a template, as campaigns.templating does -------------------------------------------

  const braces = /\{\{([^{}]*)\}\}|\{\{|\}\}/g;
  const isName = (name) => /^[a-z][a-z0-9_]*$/.test(name);
  const RESERVED = ["recipient", "language"];

  // The body as pieces {kind: "text", "variable" or "fault", text, at}; together they are the body.
  function read(body) {
    const pieces = [];
    let done = 0;
    for (const found of body.matchAll(braces)) {
      if (found.index > done) pieces.push({ kind: "text", text: body.slice(done, found.index), at: done });
      const name = (found[1] || "").replace(/^ +| +$/g, "");
      const good = isName(name) && !RESERVED.includes(name);
      pieces.push({ kind: good ? "variable" : "fault", text: found[0], at: found.index, name });
      done = found.index + found[0].length;
    }
    if (done < body.length) pieces.push({ kind: "text", text: body.slice(done), at: done });
    return pieces;
  }

  function adviceOn(piece) {
    if (piece.text === "{{") return "Close this variable with }} after its name.";
    if (piece.text === "}}") return "Open this variable with {{ before its name.";
    if (!piece.name) return "Write a name between the braces, such as {{name}}.";
    if (RESERVED.includes(piece.name)) {
      return `“${piece.name}” is the name of a column that every file has. Choose another name.`;
    }
    return `“${piece.name}” cannot be a variable name: use lowercase letters, digits and underscores, and start with a letter.`;
  }

  // Cut at the characters that may not be sent or that make the message Unicode.
  function* cut(text, at, language) {
    let start = 0, position = 0;
    for (const char of text) {
      const blocked = isBlocked(char, language);
      const costly = !blocked && !gsm.has(char) && !UNICODE_LANGUAGES.includes(language);
      if (blocked || costly) {
        if (position > start) yield { kind: "text", text: text.slice(start, position), at: at + start };
        yield { kind: blocked ? "blocked" : "costly", text: char, at: at + position };
        start = position + char.length;
      }
      position += char.length;
    }
    if (position > start) yield { kind: "text", text: text.slice(start, position), at: at + start };
  }

  window.PostmanSms = { measure, isBlocked, replacement, nameOf, read };

  // One composer --------------------------------------------------------------------------------

  const number = (value) => value.toLocaleString("en-SG");
  const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

  function mark(kind, text) {
    const element = document.createElement("mark");
    element.className = `mark-${kind}`;
    element.textContent = text;
    return element;
  }

  class Composer {
    constructor(root) {
      this.root = root;
      this.body = root.querySelector("[data-composer-body]");
      const texts = document.getElementById(root.dataset.composerTexts);
      this.texts = texts && JSON.parse(texts.textContent);
      if (this.body) this.layMarks();
      root.addEventListener("input", () => this.update());
      root.addEventListener("change", () => this.update());
      root.addEventListener("click", (event) => this.click(event));
      this.body?.form?.addEventListener("reset", () => setTimeout(() => this.update()));
      this.update();
    }

    part(name) {
      return this.root.querySelector(`[data-composer-${name}]`);
    }

    // The marks lie behind the textarea in the same grid cell, so that the cell grows with the text.
    layMarks() {
      const editor = document.createElement("div");
      editor.className = "composer-editor";
      this.marks = document.createElement("div");
      this.marks.className = "composer-marks form-control";
      this.marks.setAttribute("aria-hidden", "true");
      this.body.replaceWith(editor);
      editor.append(this.marks, this.body);
    }

    get language() {
      const controls = [...this.root.querySelectorAll("[data-composer-language]")]
        .flatMap((element) => [...(element.matches("select,input") ? [element] : element.querySelectorAll("input"))]);
      const chosen = controls.find((control) => control.type !== "radio" || control.checked);
      return chosen?.value || this.root.dataset.language || Object.keys(this.texts || {})[0];
    }

    // What stands in the message now: {body, header, footer, lang}.
    get text() {
      if (this.texts) return this.texts[this.language] || { body: "", header: "", footer: "" };
      const { header = "", footer = "", lang } = this.root.dataset;
      return { body: this.body.value, header, footer: footer || tables.footers[this.language] || "", lang };
    }

    valueOf(name) {
      return this.root.querySelector(`[name="values.${name}"]`)?.value || "";
    }

    update() {
      const { body, header, footer, lang } = this.text;
      const pieces = read(body).flatMap((piece) =>
        piece.kind === "text" ? [...cut(piece.text, piece.at, this.language)] : [piece]);
      const open = pieces.filter((piece) => piece.kind === "variable" && !this.valueOf(piece.name));
      const filled = pieces.map((piece) => (piece.kind === "variable" ? this.valueOf(piece.name) : piece.text)).join("");
      const notice = this.root.dataset.notice ? `${this.root.dataset.notice}\n\n` : "";
      const [before, after] = [`${notice}${header}\n\n---\n\n`, `\n\n---\n\n${footer}`];

      const result = measure(before + filled + after);
      result.bodyCharacters = [...filled].length;
      result.open = open.map((piece) => piece.name);
      this.root.dataset.state =
        result.bodyCharacters > tables.max ? "over" : result.bodyCharacters > tables.warn ? "warn" : "ok";

      this.showMarks(pieces);
      this.showNumbers(result);
      this.showProblems(this.problems(pieces, result));
      this.showVariables(pieces);
      this.showPreview(before, pieces, after, lang);
      this.root.dispatchEvent(new CustomEvent("composer:measured", { bubbles: true, detail: result }));
    }

    showMarks(pieces) {
      // The space gives a last, empty line its height.
      this.marks?.replaceChildren(
        ...pieces.map((piece) => (piece.kind === "text" ? piece.text : mark(piece.kind, piece.text))), " ");
    }

    showNumbers(result) {
      const without = result.open.length ? ", without variables" : "";
      this.say("count", `${number(result.bodyCharacters)} of ${number(tables.max)} characters${without}`);
      const least = result.open.length ? "At least " : "";
      this.say("segments", `${least}${plural(result.segments, "segment")} for each recipient`);
      this.say("encoding", result.encoding === "GSM-7"
        ? "Plain characters (GSM-7)"
        : `Unicode characters (UCS-2): ${tables.segments["UCS-2"][1]} to a segment instead of ${tables.segments["GSM-7"][1]}`);
    }

    say(name, text) {
      const element = this.part(name);
      if (element && element.textContent !== text) element.textContent = text;
    }

    // Each {kind, message, at, length}; at is null for one that is not in the textarea.
    problems(pieces, result) {
      const found = [];
      if (this.root.dataset.state === "over") {
        found.push({ kind: "blocked", message: `Shorten the text by ${plural(result.bodyCharacters - tables.max, "character")}: ${number(tables.max)} is the most.` });
      } else if (this.root.dataset.state === "warn") {
        found.push({ kind: "costly", message: `This is a long text. Above ${number(tables.warn)} characters a message costs more and may arrive in parts.` });
      }
      const seen = new Map();
      const once = (piece, message) => {
        if (seen.has(message)) seen.get(message).times += 1;
        else {
          seen.set(message, { kind: piece.kind, message, at: piece.at, length: piece.text.length, times: 1 });
          found.push(seen.get(message));
        }
      };
      const parts = [...pieces, ...this.valuePieces(pieces)];
      for (const piece of parts) {
        if (piece.kind === "fault") once(piece, adviceOn(piece));
        if (piece.kind === "blocked") once(piece, this.adviceOnBlocked(piece));
      }
      for (const piece of parts.filter(({ kind }) => kind === "costly")) {
        const plain = replacement(piece.text);
        const instead = plain ? `; write ${plain.trim() || "a plain space"} instead` : "";
        once(piece, `${nameOf(piece.text)}${piece.of ? ` in ${piece.of}` : ""} makes the whole message Unicode${instead}.`);
      }
      return found;
    }

    valuePieces(pieces) {
      const names = new Set(pieces.filter(({ kind }) => kind === "variable").map(({ name }) => name));
      return [...names].flatMap((name) =>
        [...cut(this.valueOf(name), 0, this.language)].map((piece) => ({ ...piece, at: null, of: name })));
    }

    adviceOnBlocked(piece) {
      const where = piece.of ? ` in ${piece.of}` : "";
      const suggestion = tables.blocked[piece.text];
      if (suggestion) return `Replace ${nameOf(piece.text)}${where} with ${suggestion}.`;
      if (broken.test(piece.text)) return `Replace ${nameOf(piece.text)}${where} with what was meant.`;
      return `Remove ${nameOf(piece.text)}${where}.`;
    }

    showProblems(problems) {
      const box = this.part("problems");
      const key = JSON.stringify(problems);
      // A live region speaks whenever it is touched, so it is left alone while nothing changed.
      if (box && key !== this.shown) {
        this.shown = key;
        const list = document.createElement("ul");
        list.className = "composer-problems";
        list.append(...problems.map((problem) => this.problemItem(problem)));
        box.replaceChildren(...(problems.length ? [list] : []));
      }
      const button = this.part("replace");
      if (button) button.hidden = !this.replaceable().length;
    }

    problemItem({ kind, message, at, length, times }) {
      const item = document.createElement("li");
      item.className = `problem-${kind}`;
      item.append(times > 1 ? `${message} (${times} times) ` : `${message} `);
      if (this.body && Number.isInteger(at)) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "btn-text";
        button.textContent = "Show";
        button.dataset.at = at;
        button.dataset.length = length;
        item.append(button);
      }
      return item;
    }

    showVariables(pieces) {
      const names = new Set(pieces.filter(({ kind }) => kind === "variable").map(({ name }) => name));
      this.part("variables")?.replaceChildren(...[...names].map((name) => {
        const item = document.createElement("li");
        item.append(mark("variable", `{{${name}}}`));
        return item;
      }));
    }

    showPreview(before, pieces, after, lang) {
      const preview = this.part("preview");
      if (!preview) return;
      if (lang) preview.lang = lang;
      preview.replaceChildren(before, ...pieces.map((piece) => {
        if (piece.kind === "text") return piece.text;
        const value = piece.kind === "variable" && this.valueOf(piece.name);
        return value || mark(piece.kind, piece.text);
      }), after);
    }

    // Ranges of the text that have a plain equal, last first.
    replaceable() {
      if (!this.body) return [];
      return read(this.body.value)
        .filter(({ kind }) => kind === "text")
        .flatMap((piece) => [...cut(piece.text, piece.at, this.language)])
        .filter((piece) => piece.kind !== "text" && replacement(piece.text) !== null)
        .reverse();
    }

    click(event) {
      const show = event.target.closest("[data-at]");
      if (show) {
        const at = Number(show.dataset.at);
        this.body.focus();
        this.body.setSelectionRange(at, at + Number(show.dataset.length));
      }
      if (event.target.closest("[data-composer-replace]")) this.replaceAll();
    }

    replaceAll() {
      let text = this.body.value;
      for (const { text: old, at } of this.replaceable()) {
        text = text.slice(0, at) + replacement(old) + text.slice(at + old.length);
      }
      this.body.focus();
      this.body.select();
      // Deprecated, and the only way that Ctrl+Z takes back; it fires the input event itself.
      if (document.execCommand("insertText", false, text)) return;
      this.body.value = text;
      this.body.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  const composed = new WeakSet();

  function start(root) {
    const roots = [...(root.matches?.("[data-composer]") ? [root] : []), ...root.querySelectorAll("[data-composer]")];
    for (const element of roots) {
      if (!composed.has(element)) new Composer(element);
      composed.add(element);
    }
  }

  document.addEventListener("htmx:load", (event) => start(event.detail.elt));
  start(document);
})();
