/* The text of a secure page: made of what the sender wrote and one person's values, and made safe.
   The server never sees it, so nobody but the browser can do either; it is cleaned before it is
   encrypted, and again by the browser that shows it. Needs DOMPurify. Gives `PostmanText`.

     const written = PostmanText.read(text, "plain" | "html")    keywords and faults of it
     written.merged({name: "Mei Ling"})                          → HTML
     PostmanText.show(html, element)                             cleaned, then shown there */
const PostmanText = (() => {
  "use strict";

  const KEYWORD = /\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g;
  const ONE_KEYWORD = /^\{\{\s*[A-Za-z0-9_]+\s*\}\}$/;
  const ADDRESS = /https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]]/g;
  const IS_ADDRESS = /^https?:\/\/[^\s<>"'\\]+$/i;
  const LINK = /^(?:https?:\/\/|mailto:|tel:)/i;
  const LINK_OR_KEYWORD = /^(?:https?:\/\/|mailto:|tel:|\{\{\s*[A-Za-z0-9_]+\s*\}\}$)/i;

  // No pictures: whoever serves them would learn that the page was opened. No styles: ours do.
  const ALLOWED = {
    ALLOWED_TAGS: [
      "a", "b", "blockquote", "br", "caption", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol",
      "p", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
    ],
    ALLOWED_ATTR: ["href", "colspan", "rowspan", "scope", "start"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  };

  function clean(html, links = LINK) {
    const fragment = DOMPurify.sanitize(html, { ...ALLOWED, ALLOWED_URI_REGEXP: links });
    fragment.querySelectorAll("a").forEach((link) => {
      if (!links.test(link.getAttribute("href") || "")) link.removeAttribute("href");
      link.rel = "noopener noreferrer";
      link.target = "_blank";
    });
    return fragment;
  }

  function htmlOf(fragment) {
    const box = document.createElement("div");
    box.append(fragment);
    return box.innerHTML;
  }

  function textNodes(root) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  }

  function linkTo(address) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = address;
    return link;
  }

  /* Paragraphs of what was typed: an empty line ends one, and web addresses are links. */
  function paragraphs(text) {
    const fragment = document.createDocumentFragment();
    for (const block of text.replace(/\r\n?/g, "\n").split(/\n[^\S\n]*(?:\n[^\S\n]*)+/)) {
      if (!block.trim()) continue;
      const paragraph = document.createElement("p");
      append(paragraph, block.trim());
      for (const node of textNodes(paragraph)) {
        const parts = split(node.data, ADDRESS, (match) => linkTo(match[0]));
        node.replaceWith(...parts);
      }
      fragment.append(paragraph);
    }
    return fragment;
  }

  function append(element, text) {
    text.split("\n").forEach((line, index) => {
      if (index) element.append(document.createElement("br"));
      element.append(line);
    });
  }

  /* The text around the matches, and in their places what `made` makes of them. */
  function split(text, pattern, made) {
    const parts = [];
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      parts.push(text.slice(end, match.index), made(match));
      end = match.index + match[0].length;
    }
    return [...parts, text.slice(end)].filter((part) => part !== "");
  }

  class Written {
    constructor(text, format) {
      this.fragment = format === "html" ? clean(text, LINK_OR_KEYWORD) : paragraphs(text);
      this.isEmpty = !this.fragment.textContent.trim();
      const inText = htmlOf(this.fragment.cloneNode(true));
      this.length = inText.length;
      this.uses = new Map(); // keyword → how often it stands there
      for (const [, name] of inText.matchAll(KEYWORD)) {
        this.uses.set(name.toLowerCase(), (this.uses.get(name.toLowerCase()) ?? 0) + 1);
      }
      this.keywords = [...this.uses.keys()];
      this.hasStrayBraces = /\{\{|\}\}/.test(inText.replace(KEYWORD, ""));
    }

    merged(values) {
      const filled = this.fragment.cloneNode(true);
      for (const node of textNodes(filled)) {
        const isInLink = Boolean(node.parentElement?.closest("a"));
        node.replaceWith(...split(node.data, KEYWORD, (match) => this.value(match[1], values, isInLink)));
      }
      filled.querySelectorAll("a[href]").forEach((link) => {
        const href = link.getAttribute("href");
        if (!href.includes("{")) return;
        const isWhole = ONE_KEYWORD.test(href);
        link.setAttribute("href", href.replace(KEYWORD, (_, name) => {
          const value = (values[name.toLowerCase()] ?? "").trim();
          return isWhole ? value : encodeURIComponent(value);
        }));
      });
      return htmlOf(clean(htmlOf(filled)));
    }

    value(name, values, isInLink) {
      const key = name.toLowerCase();
      const value = values[key] ?? "";
      const isLink = /_(?:url|link)$/.test(key) && IS_ADDRESS.test(value.trim());
      if (isLink && !isInLink) return linkTo(value.trim());
      const holder = document.createDocumentFragment();
      append(holder, value.replace(/\r\n?/g, "\n"));
      return holder;
    }
  }

  return {
    read: (text, format) => new Written(text, format),
    show: (html, element) => element.replaceChildren(clean(html)),
  };
})();
globalThis.PostmanText = PostmanText;
