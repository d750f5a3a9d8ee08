/* The message of an email: an editor over the text area, which stays the field that is sent.

   Without it there is the text area with its HTML, saved by a button. With it:
     - the text area and an editor (django-prose-editor, from our own static files) show the same
       text, one at a time; each change of either counts as typing in the text area
     - keywords are inserted at the cursor of the field that was last written in
     - htmx saves after two quiet seconds (see the form's hx-* attributes)
   What the editor cannot show it does not touch: such HTML stays in the text area until its author
   says otherwise. */

const KEYWORD = /\{\{\s*[A-Za-z0-9_]+\s*\}\}/g;
const LONE_KEYWORD = /^\{\{\s*[A-Za-z0-9_]+\s*\}\}$/;
const LINK = /^(?:https?:\/\/[^\s/?#]|mailto:\S|tel:\S)\S*$/i;
const MOST_BYTES = 900_000;

const form = document.querySelector("[data-message]");
const area = form.elements.html;
const page = (selector) => document.querySelector(selector);

let editor = null; // while the rich view is open
let library = null;
let lastField = area; // where a keyword goes

// HTML --------------------------------------------------------------------------------------

/* Styles within the HTML are for the email. This page's policy lets none apply here, and reading HTML
   that has some would be told as an attack: so they are read as text, under another name. */
const KEPT = "data-kept-style";
const inTags = (html, name, other) =>
  html.replace(/<[a-z](?:"[^"]*"|'[^']*'|[^'">])*>/gi, (tag) =>
    tag.replace(new RegExp(`(\\s|["'/])${name}(?=\\s*=)`, "gi"), `$1${other}`));
const keepStyles = (html) => inTags(html, "style", KEPT);
const giveStyles = (html) => inTags(html, KEPT, "style");

const parsed = (html) => new DOMParser().parseFromString(keepStyles(html), "text/html").body;
const declarations = (style) => style.split(";").map((part) => part.trim()).filter(Boolean);
const propertyOf = (declaration) => declaration.split(":")[0].trim().toLowerCase();

/* As an email has it: the paragraph within an item of a list or a cell is the editor's alone. */
function tidy(html) {
  const body = parsed(html);
  for (const holder of body.querySelectorAll("li, td, th")) {
    const [first, ...others] = holder.children;
    const isBare = first?.tagName === "P" && !first.attributes.length;
    if (isBare && others.every((other) => /^[OU]L$/.test(other.tagName))) {
      first.replaceWith(...first.childNodes);
    }
  }
  for (const cell of body.querySelectorAll("td, th")) {
    for (const name of ["colspan", "rowspan"]) {
      if (cell.getAttribute(name) === "1") cell.removeAttribute(name);
    }
  }
  const isEmpty = !body.textContent.trim() && !body.querySelector("img, hr, table");
  return isEmpty ? "" : giveStyles(body.innerHTML);
}

/* One block a line, for whoever reads the HTML. */
const inLines = (html) =>
  html.replace(/(<\/(?:p|h[1-6]|li|ul|ol|tr|table|tbody|thead)>|<hr[^>]*>)(?=<)/g, "$1\n")
    .replace(/(<(?:ul|ol|table|tbody|thead|tr)(?: [^>]*)?>)(?=<)/g, "$1\n");

const SAME = { B: "STRONG", I: "EM" };
const OWN = new Set(["TBODY", "THEAD", "COLGROUP", "COL", "P"]);

/* What a text holds, counted: "<table>", "width of <img>", "the style color". */
function inventory(html) {
  const found = new Map();
  const note = (what) => found.set(what, (found.get(what) || 0) + 1);
  for (const element of parsed(html).querySelectorAll("*")) {
    const tag = SAME[element.tagName] || element.tagName;
    const isBareSpan = tag === "SPAN" && !element.hasAttribute(KEPT);
    if (!OWN.has(tag) && !isBareSpan) note(`<${tag.toLowerCase()}>`);
    for (const { name, value } of element.attributes) {
      const isOurs = ["target", "rel"].includes(name) || (/span$/.test(name) && value === "1");
      if (name === KEPT) {
        for (const part of declarations(value)) note(`the style ${propertyOf(part)}`);
      } else if (!isOurs) {
        note(`${name} of <${tag.toLowerCase()}>`);
      }
    }
  }
  return found;
}

const words = (html) => parsed(html).textContent.replace(/\s+/g, "");

/* What would be gone from `before` if it became `after`. */
function lost(before, after) {
  const kept = inventory(after);
  const gone = [...inventory(before)].filter(([what, count]) => (kept.get(what) || 0) < count);
  const names = gone.map(([what]) => what);
  return words(before) === words(after) ? names : [...names, "some of its words"];
}

// The editor ----------------------------------------------------------------------------------

function extensions() {
  const { Extension, Mark, Plugin, pm } = library;
  const { Decoration, DecorationSet } = pm.view;

  // Keywords are text, and look like what they are.
  const marks = (doc) => {
    const found = [];
    doc.descendants((node, position) => {
      if (!node.isText) return;
      for (const match of node.text.matchAll(KEYWORD)) {
        const from = position + match.index;
        found.push(Decoration.inline(from, from + match[0].length, { class: "keyword" }));
      }
    });
    return DecorationSet.create(doc, found);
  };
  const Keywords = Extension.create({
    name: "keywords",
    addProseMirrorPlugins: () => [new Plugin({
      state: {
        init: (_, { doc }) => marks(doc),
        apply: (change, old) => (change.docChanged ? marks(change.doc) : old),
      },
      props: { decorations(state) { return this.getState(state); } },
    })],
  });

  // Styles that were written as HTML stay as they are.
  const Styles = Extension.create({
    name: "styles",
    addGlobalAttributes: () => [{
      types: ["paragraph", "heading", "bulletList", "orderedList", "listItem", "table", "tableRow",
        "tableCell", "tableHeader", "image", "horizontalRule", "styledText", "link"],
      attributes: {
        style: {
          default: null,
          parseHTML: (element) => element.getAttribute(KEPT),
          renderHTML: ({ style }) => (style ? { style } : {}),
        },
      },
    }, {
      types: ["tableHeader"],
      attributes: { scope: { default: null } },
    }],
  });
  const StyledText = Mark.create({
    name: "styledText",
    parseHTML: () => [{ tag: `span[${KEPT}]` }],
    renderHTML: ({ HTMLAttributes }) => ["span", HTMLAttributes, 0],
  });

  return [
    library.Document, library.Paragraph, library.Text, library.HardBreak,
    library.Heading.configure({ levels: [1, 2, 3, 4, 5, 6] }),
    library.Bold, library.Italic, library.Underline, library.Superscript, library.Highlight,
    library.BulletList, library.OrderedList, library.ListItem, library.HorizontalRule,
    library.Table, library.TableRow, library.TableHeader, library.TableCell,
    library.Image.configure({ inline: true }),
    library.Link.configure({
      autolink: false,
      isAllowedUri: (address) => LONE_KEYWORD.test(address) || LINK.test(address),
    }),
    library.History, library.Dropcursor, library.Gapcursor, Keywords, Styles, StyledText,
  ];
}

function describe(element) {
  element.setAttribute("role", "textbox");
  element.setAttribute("aria-multiline", "true");
  element.setAttribute("aria-labelledby", "id_html_label");
  element.setAttribute("aria-describedby", area.getAttribute("aria-describedby") || "");
  element.classList.add("form-control");
}

/* Open the editor on the HTML of the text area; what it would lose keeps it shut, unless `anyway`. */
function openEditor({ anyway = false } = {}) {
  const holder = document.createElement("div");
  holder.className = "rich";
  area.before(holder);
  const made = new library.Editor({
    element: holder,
    injectCSS: false,
    extensions: extensions(),
    content: keepStyles(area.value),
    editorProps: { transformPastedHTML: keepStyles },
    onUpdate: () => {
      area.value = tidy(made.getHTML());
      area.dispatchEvent(new Event("input", { bubbles: true }));
    },
    onTransaction: showState,
    onFocus: () => { lastField = area; },
  });
  const gone = lost(area.value, tidy(made.getHTML()));
  if (gone.length && !anyway) {
    made.destroy();
    holder.remove();
    page("[data-lost]").textContent = gone.slice(0, 6).join(", ");
    show("source", { isLossy: true });
    return;
  }
  editor = made;
  describe(editor.view.dom);
  show("rich");
  showState();
}

function closeEditor() {
  area.value = inLines(area.value);
  editor.destroy();
  editor = null;
  page(".rich").remove();
  show("source");
  area.focus();
}

function show(view, { isLossy = false } = {}) {
  area.hidden = view === "rich";
  page("[data-source-hint]").hidden = view === "rich";
  page("[data-lossy]").hidden = !isLossy;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  for (const tool of document.querySelectorAll("[data-command], [data-block]")) {
    tool.disabled = view === "source";
  }
  if (view === "source") page("[data-in-table]").hidden = true;
}

// The toolbar ---------------------------------------------------------------------------------

const alignmentOf = (node) =>
  declarations(node.attrs.style || "").find((part) => propertyOf(part) === "text-align")
    ?.split(":")[1].trim();

/* All paragraphs of the selection to one side; those that are there already, back to the usual. */
function align(side) {
  const isOn = () => alignmentOf(editor.state.selection.$from.parent) === side;
  const turn = ({ tr, state }) => {
    const aligned = isOn() ? [] : [`text-align: ${side}`];
    const { from, to } = state.selection;
    state.doc.nodesBetween(from, to, (node, position) => {
      if (!["paragraph", "heading"].includes(node.type.name)) return;
      const others = declarations(node.attrs.style || "")
        .filter((part) => propertyOf(part) !== "text-align");
      const style = [...others, ...aligned].join("; ") || null;
      tr.setNodeMarkup(position, undefined, { ...node.attrs, style });
    });
    return true;
  };
  return { run: (chain) => chain.command(turn), isOn };
}

const mark = (name, command) => ({ run: (chain) => chain[command](), isOn: () => editor.isActive(name) });
const does = (command, ...args) => ({ run: (chain) => chain[command](...args) });

const COMMANDS = {
  undo: { ...does("undo"), can: () => editor.can().undo() },
  redo: { ...does("redo"), can: () => editor.can().redo() },
  bold: mark("bold", "toggleBold"),
  italic: mark("italic", "toggleItalic"),
  underline: mark("underline", "toggleUnderline"),
  bulletList: mark("bulletList", "toggleBulletList"),
  orderedList: mark("orderedList", "toggleOrderedList"),
  left: align("left"),
  center: align("center"),
  right: align("right"),
  link: { open: openLink, isOn: () => editor.isActive("link") },
  image: { open: openImage },
  table: does("insertTable", { rows: 3, cols: 3, withHeaderRow: true }),
  rule: does("setHorizontalRule"),
  addRow: does("addRowAfter"),
  addColumn: does("addColumnAfter"),
  deleteRow: does("deleteRow"),
  deleteColumn: does("deleteColumn"),
  headerRow: does("toggleHeaderRow"),
  deleteTable: does("deleteTable"),
};

function showState() {
  if (!editor) return;
  for (const button of document.querySelectorAll("[data-command]")) {
    const { isOn, can } = COMMANDS[button.dataset.command];
    if (isOn) button.setAttribute("aria-pressed", String(isOn()));
    if (can) button.setAttribute("aria-disabled", String(!can()));
  }
  const { level } = editor.getAttributes("heading");
  page("[data-block]").value = String(Math.min(level || 0, 3));
  page("[data-in-table]").hidden = !editor.isActive("table");
}

function command(name) {
  const { run, open, can } = COMMANDS[name];
  if (open) open();
  else if (!can || can()) run(editor.chain().focus()).run();
}

function block(level) {
  const chain = editor.chain().focus();
  (level ? chain.setHeading({ level }) : chain.setParagraph()).run();
}

// Dialogs -------------------------------------------------------------------------------------

/* Resolves with the value of the button, or "cancel". `check` says whether "set" may close it. */
function ask(dialog, check) {
  dialog.returnValue = "cancel";
  const inner = dialog.querySelector("form");
  const refuse = (event) => {
    if (event.submitter?.value === "set" && !check()) event.preventDefault();
  };
  inner.addEventListener("submit", refuse);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      inner.removeEventListener("submit", refuse);
      resolve(dialog.returnValue || "cancel");
    }, { once: true });
  });
}

/* Say beside the field what is wrong with it, and go there. */
function refuseUnless(isRight, input, error) {
  error.hidden = isRight;
  input.classList.toggle("is-invalid", !isRight);
  input.setAttribute("aria-invalid", String(!isRight));
  if (!isRight) input.focus();
  return isRight;
}

async function openLink() {
  const [address, text] = [page("#link-address"), page("#link-text")];
  const isLink = editor.isActive("link");
  if (isLink) editor.commands.extendMarkRange("link");
  const { from, to, empty } = editor.state.selection;
  address.value = editor.getAttributes("link").href || "";
  text.value = editor.state.doc.textBetween(from, to);
  text.closest(".field").hidden = !empty;
  page("[data-remove-link]").hidden = !isLink;
  const isRight = () => {
    address.value = withScheme(address.value.trim());
    const isGood = LONE_KEYWORD.test(address.value) || LINK.test(address.value);
    return refuseUnless(isGood, address, page("#link-error"));
  };
  page("#link-error").hidden = true;
  const answer = await ask(page("[data-link-dialog]"), isRight);
  if (answer === "remove") editor.chain().focus().extendMarkRange("link").unsetLink().run();
  if (answer !== "set") return;
  const href = address.value;
  if (!empty) editor.chain().focus().setLink({ href }).run();
  else {
    const link = { type: "text", text: text.value.trim() || href, marks: [{ type: "link", attrs: { href } }] };
    editor.chain().focus().insertContent(link).run();
  }
}

/* People type www.gov.sg and name@agency.gov.sg. */
function withScheme(address) {
  if (/^[^\s@:/{}]+@[^\s@:/{}]+\.[^\s@:/{}]+$/.test(address)) return `mailto:${address}`;
  return /^[^\s:/?#{}@]+\.[^\s:{}@]+$/.test(address) ? `https://${address}` : address;
}

async function openImage() {
  const dialog = page("[data-image-dialog]");
  const [address, alt, width] = ["address", "alt", "width"].map((name) => page(`#image-${name}`));
  const chosen = editor.isActive("image") ? editor.getAttributes("image") : {};
  [address.value, alt.value, width.value] = [chosen.src || "", chosen.alt || "", chosen.width || ""];
  for (const error of dialog.querySelectorAll(".field-error")) error.hidden = true;
  page("[data-by-address]").open = Boolean(chosen.src);
  window.htmx.trigger("#images", "message:pictures");
  const isOurs = (src) => src.startsWith(`${location.origin}/`) || src === chosen.src;
  const isRight = () => {
    const src = address.value.trim();
    const isGood = /^https:\/\/\S+$/i.test(src) || LONE_KEYWORD.test(src) || isOurs(src);
    const hasAddress = refuseUnless(isGood, address, page("#image-address-error"));
    const hasWords = refuseUnless(Boolean(alt.value.trim()), alt, page("#image-alt-error"));
    return hasAddress && hasWords;
  };
  if (await ask(dialog, isRight) !== "set") return;
  editor.chain().focus().setImage({
    src: address.value.trim(),
    alt: alt.value.trim(),
    width: /^\d{1,4}$/.test(width.value.trim()) ? width.value.trim() : null,
    style: chosen.style || null,
  }).run();
}

function choosePicture({ src, alt, width }) {
  page("#image-address").value = src;
  page("#image-alt").value = alt;
  page("#image-width").value = width;
  page("[data-image-dialog]").close("set");
}

// Keywords ------------------------------------------------------------------------------------

function insert(text) {
  if (editor && lastField === area) {
    editor.chain().focus().insertContent({ type: "text", text }).run();
    return;
  }
  lastField.focus();
  lastField.setRangeText(text, lastField.selectionStart, lastField.selectionEnd, "end");
  lastField.dispatchEvent(new Event("input", { bubbles: true }));
}

function addSignature() {
  const signature = page("[data-signature]").textContent;
  if (editor) editor.chain().focus("end").insertContent(signature).run();
  else {
    area.value = `${area.value}\n${signature}`;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

// Saving --------------------------------------------------------------------------------------

const isSaving = () => form.classList.contains("htmx-request");

/* A button pressed while a save is under way waits for it, or it would meet its own text as another's. */
function waitForSave(event) {
  if (!isSaving() || event.defaultPrevented) return;
  event.preventDefault();
  event.stopPropagation();
  form.addEventListener("htmx:afterRequest", () => {
    setTimeout(() => form.requestSubmit(event.submitter));
  }, { once: true });
}

function refuseTooLarge(event) {
  if (new Blob([area.value]).size <= MOST_BYTES) return;
  event.preventDefault();
  page("#message-state").textContent =
    "Not saved: the message is too large. Upload its pictures instead of pasting them.";
}

// Wiring --------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { dataset } = button;
  if ("command" in dataset) command(dataset.command);
  else if ("keyword" in dataset) insert(`{{${dataset.keyword}}}`);
  else if ("close" in dataset) button.closest("dialog").close("cancel");
  else if ("picture" in dataset) choosePicture(dataset);
  else if ("openAnyway" in dataset) openEditor({ anyway: true });
  else if ("insertSignature" in dataset) addSignature();
  else if (dataset.view === "rich" && !editor) openEditor();
  else if (dataset.view === "source" && editor) closeEditor();
});
page("[data-block]").addEventListener("change", (event) => {
  event.stopPropagation(); // it is no field of the message
  block(Number(event.target.value));
});
form.addEventListener("focusin", ({ target }) => {
  if ([area, form.elements.subject, form.elements.preheader].includes(target)) lastField = target;
});
form.addEventListener("submit", waitForSave, { capture: true });
form.addEventListener("submit", refuseTooLarge, { capture: true });
form.addEventListener("htmx:beforeRequest", refuseTooLarge);
document.addEventListener("htmx:load", ({ detail: { elt } }) => {
  for (const button of elt.querySelectorAll("[data-picture]")) button.hidden = false;
});

library = await import(form.dataset.editor);
page("[data-toolbar]").hidden = false;
page("[data-insert-signature]").hidden = false;
for (const button of document.querySelectorAll("[data-keyword]")) button.disabled = false;
openEditor();
