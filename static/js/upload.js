/* Dropping a file on a form, and seeing it go up. Without JavaScript it is an ordinary file form.

   <form method="post" enctype="multipart/form-data" data-upload data-upload-limit="41943040">
     {% csrf_token %}
     <div class="dropzone" data-dropzone>
       {% include "_field.html" with field=form.file only %}     its input[type=file] is the one used
     </div>
     <button class="btn btn-primary">Upload and check</button>
   </form>

   Name and size, then how far it is, are said below the input. The answer is the ordinary one:
   a redirect is followed, any other page's main part takes the place of this one. */
(() => {
  "use strict";

  const UNITS = ["bytes", "KB", "MB", "GB"];

  function sizeOf(bytes) {
    const power = bytes < 1024 ? 0 : Math.min(3, Math.floor(Math.log(bytes) / Math.log(1024)));
    const value = bytes / 1024 ** power;
    return `${power && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
  }

  class Upload {
    constructor(form) {
      this.form = form;
      this.zone = form.querySelector("[data-dropzone]") || form;
      this.input = form.querySelector("input[type=file]");
      this.status = document.createElement("div");
      this.status.setAttribute("role", "status");
      this.input.closest(".field").append(this.status);
      this.input.addEventListener("change", () => this.show());
      form.addEventListener("submit", (event) => this.submit(event));
      this.takeDrops();
    }

    takeDrops() {
      let depth = 0;
      const stop = (event) => { event.preventDefault(); };
      const over = (step) => (event) => {
        stop(event);
        depth += step;
        this.zone.toggleAttribute("data-over", depth > 0);
      };
      this.zone.addEventListener("dragenter", over(1));
      this.zone.addEventListener("dragleave", over(-1));
      this.zone.addEventListener("dragover", stop);
      this.zone.addEventListener("drop", (event) => {
        stop(event);
        depth = 0;
        this.zone.removeAttribute("data-over");
        const { files } = event.dataTransfer;
        if (files.length > 1) this.say("Drop one file only.", true);
        if (files.length !== 1 || this.request) return;
        this.input.files = files;
        this.input.dispatchEvent(new Event("change", { bubbles: true }));
      });
    }

    get fault() {
      const [file] = this.input.files;
      const most = Number(this.form.dataset.uploadLimit);
      if (file && !file.size) return `${file.name} is empty.`;
      if (file && most && file.size > most) {
        return `${file.name} is too large: it has ${sizeOf(file.size)}, and ${sizeOf(most)} is the most.`;
      }
      return "";
    }

    show() {
      const [file] = this.input.files;
      this.say(this.fault || (file ? `${file.name}, ${sizeOf(file.size)}` : ""), Boolean(this.fault));
    }

    say(text, isFault = false) {
      const line = document.createElement("p");
      line.className = isFault ? "field-error" : "upload-line";
      line.textContent = text;
      this.status.replaceChildren(...(text ? [line] : []));
    }

    submit(event) {
      // Without a file the server has the words for it.
      if (!this.input.files.length) return;
      event.preventDefault();
      if (this.request) return;
      if (this.fault) {
        this.show();
        this.input.focus();
        return;
      }
      this.send(event.submitter);
    }

    send(submitter) {
      const [file] = this.input.files;
      const body = new FormData(this.form, submitter);
      this.request = new XMLHttpRequest();
      this.request.open("POST", this.form.action);
      this.request.upload.addEventListener("progress", (event) => this.progress(event));
      this.request.addEventListener("load", () => this.answer());
      this.request.addEventListener("error", () => this.broken());
      this.say(`Uploading ${file.name}…`);
      this.bar = document.createElement("progress");
      this.bar.max = 1;
      this.bar.value = 0;
      this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
      this.status.append(this.bar);
      this.busy(true);
      this.request.send(body);
    }

    progress(event) {
      if (this.bar && event.lengthComputable) this.bar.value = event.loaded / event.total;
    }

    answer() {
      const { status, responseURL, responseText } = this.request;
      const here = new URL(this.form.action, location.href).href;
      if (status < 400 && responseURL !== here) {
        location.assign(responseURL);
        return;
      }
      const page = new DOMParser().parseFromString(responseText, "text/html");
      const main = page.querySelector("main");
      if (!main) {
        this.broken();
        return;
      }
      document.title = page.title;
      document.querySelector("main").replaceWith(main);
      window.htmx?.process(main);
      main.dispatchEvent(new Event("postman:swap", { bubbles: true }));
      start(main);
      window.scrollTo(0, 0);
    }

    broken() {
      this.busy(false);
      this.say("The upload was interrupted. Check your connection and try again.", true);
    }

    busy(isBusy) {
      if (!isBusy) this.request = null;
      for (const element of this.form.elements) {
        if (element.type === "submit") element.setAttribute("aria-disabled", String(isBusy));
      }
    }
  }

  function start(root) {
    root.querySelectorAll("form[data-upload]").forEach((form) => {
      if (form.querySelector("input[type=file]")) new Upload(form);
    });
  }

  start(document);
})();
