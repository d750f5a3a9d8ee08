/* The recipient's side of a secure page: makes the key of the typed password, shows the server that
   it knows it, and decrypts what it then gets. The password never leaves this browser.
   Needs DOMPurify, PostmanText and PostmanCrypto. What it says stands in the page, in its language:
   [data-say-…] templates with {n}. */
(() => {
  "use strict";

  class Locked {
    constructor(root) {
      this.root = root;
      this.form = root.querySelector("form");
      this.password = root.querySelector("[data-password]");
      this.button = this.form.querySelector("[type=submit]");
      this.fault = root.querySelector("[data-fault]");
      this.words = this.button.textContent;
      this.form.addEventListener("submit", (event) => this.submit(event));
      root.querySelector("[data-reveal]").addEventListener("change", ({ target }) => {
        this.password.type = target.checked ? "text" : "password";
      });
      this.form.hidden = false;
      if (Number(root.dataset.wait)) this.wait(Number(root.dataset.wait));
    }

    say(name, n = "") {
      const said = this.root.querySelector(`[data-say=${name}]`);
      return said.textContent.replace("{n}", n);
    }

    tell(...sentences) {
      this.fault.textContent = sentences.filter(Boolean).join(" ");
      this.fault.hidden = !sentences.length;
      this.password.setAttribute("aria-invalid", String(Boolean(sentences.length)));
    }

    async submit(event) {
      event.preventDefault();
      if (this.isBusy) return;
      if (!this.password.value) {
        this.tell(this.say("blank"));
        this.password.focus();
        return;
      }
      this.busy(true);
      try {
        await this.open();
      } catch {
        this.tell(this.say("unreachable"));
      } finally {
        this.busy(false);
      }
    }

    busy(isBusy) {
      this.isBusy = isBusy;
      this.button.setAttribute("aria-disabled", String(isBusy));
      this.button.textContent = isBusy ? this.say("opening") : this.words;
    }

    async open() {
      const { salt, iterations, ignores, id, url } = this.root.dataset;
      const typed = PostmanCrypto.normalised(this.password.value, ignores === "true");
      const secret = PostmanCrypto.fromBase64(salt);
      const { key, verifier } = await PostmanCrypto.keysOf(typed, secret, Number(iterations));
      const answer = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ verifier: PostmanCrypto.toBase64(verifier) }),
        credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store",
      });
      const told = await answer.json();
      if (answer.ok) {
        const html = await PostmanCrypto.decrypted({ id, iv: told.iv, ciphertext: told.ciphertext }, key);
        this.show(html);
      } else if (told.code === "closed") location.reload();
      else this.refuse(told);
    }

    refuse({ code, tries_left: left, wait }) {
      if (code === "wrong") this.tell(this.say("wrong"), left === 1 ? this.say("last") : this.say("left", left));
      else if (code === "too_soon") this.tell(this.say("soon"));
      else this.tell(this.say("unreachable"));
      if (wait) this.wait(wait);
      this.password.focus();
      this.password.select();
    }

    /* The server looks at nothing before then, so there is no use in trying. */
    wait(seconds) {
      clearInterval(this.timer);
      const end = Date.now() + seconds * 1000;
      const line = this.root.querySelector("[data-wait-line]");
      const tick = () => {
        const left = Math.ceil((end - Date.now()) / 1000);
        line.hidden = left <= 0;
        this.button.disabled = left > 0;
        line.textContent = left > 90 ? this.say("minutes", Math.ceil(left / 60)) : this.say("seconds", left);
        if (left <= 0) clearInterval(this.timer);
      };
      tick();
      this.timer = setInterval(tick, 1000);
    }

    show(html) {
      this.password.value = "";
      const opened = document.querySelector("[data-opened]");
      PostmanText.show(html, opened.querySelector("[data-text]"));
      this.root.remove();
      opened.hidden = false;
      opened.querySelector("[data-print]").addEventListener("click", () => window.print());
      opened.querySelector("h1").focus();
      window.scrollTo(0, 0);
    }
  }

  const root = document.querySelector("[data-locked]");
  if (!root) return;
  if (PostmanCrypto.isPossible() && globalThis.DOMPurify?.isSupported) new Locked(root);
  else document.querySelector("[data-impossible]").hidden = false;
})();
