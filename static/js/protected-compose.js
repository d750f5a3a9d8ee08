/* Writing the secure page of each recipient and encrypting it, all in this browser: what is written
   here, the file and the passwords are never sent (docs/security.md). Fields without a name cannot
   be. Needs Papa (CSV), DOMPurify, PostmanText and PostmanCrypto.

   <div data-secure data-start="URL" data-worker="URL" data-csrf="…" data-max-rows="…" hidden>
     <textarea data-text> <input type=radio data-format value=plain|html>
     <div data-preview> <button data-row-step="-1"> …
     <input type=file data-file> <input type=radio data-passwords value=file|made>
     <div data-problems role=alert> <div data-facts role=status>
     <form data-options>                     hint, lifetime, ignores: these are sent, and only these
     <section data-progress hidden> */
(() => {
  "use strict";

  const ROWS_A_JOB = 4;
  const JOBS_A_WORKER = 2;
  const ROWS_A_CHUNK = 500;
  const BYTES_A_CHUNK = 600 * 1024;
  const ROWS_A_SLICE = 500;
  const MOST_WORKERS = 8;
  const PROBLEMS_SHOWN = 20;
  const SHORTEST = 8;
  const RESERVED = ["recipient", "password"];
  const LONGEST_WAIT = 30_000;
  // No letters that look alike, so that a password can be read from paper or over the telephone.
  const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
  const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  const ATOM = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+";
  const IS_EMAIL = new RegExp(`^(?=.{1,64}@)(?=.{1,254}$)${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+(?:xn--[a-z0-9-]{1,59}|[a-z]{2,63})$`);
  // Eight digits are a birthday or a telephone number, these a letter, seven digits and a letter.
  const LOOKS_GUESSABLE = /^(?:\d{6,10}|[stfgm]\d{7}[a-z]|\d{3}[a-z]\d{8})$/i;

  const number = (n) => n.toLocaleString("en-SG");
  const plural = (n, word, words = `${word}s`) => `${number(n)} ${n === 1 ? word : words}`;

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function save(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function randomPassword() {
    const letters = [];
    while (letters.length < 12) {
      for (const byte of crypto.getRandomValues(new Uint8Array(24))) {
        // Bytes past the last whole alphabet would make its first letters likelier.
        if (byte < 256 - (256 % ALPHABET.length) && letters.length < 12) {
          letters.push(ALPHABET[byte % ALPHABET.length]);
        }
      }
    }
    return letters.join("").replace(/(.{4})(?=.)/g, "$1-");
  }

  // The file ---------------------------------------------------------------------------------

  /* Rows with their number in the spreadsheet, or what is wrong with the file as a whole. */
  function parsed(text) {
    const read = Papa.parse(text.replace(/^\ufeff/, ""), { skipEmptyLines: false, delimiter: "" });
    const [header, ...lines] = read.data;
    if (!header || !header.some((name) => name.trim())) return { fault: "The file is empty." };
    const columns = header.map((name) => name.trim().toLowerCase());
    const twice = columns.find((name, at) => name && columns.indexOf(name) !== at);
    if (twice) return { fault: `The column ${twice} stands in the file more than once.` };
    if (read.errors.some((error) => error.type === "Quotes")) {
      const { row } = read.errors.find((error) => error.type === "Quotes");
      return { fault: `Row ${row + 1} has a quotation mark that is not closed.` };
    }
    const rows = [];
    lines.forEach((cells, at) => {
      if (cells.every((cell) => !cell.trim())) return;
      const values = Object.fromEntries(columns.map((name, index) => [name, cells[index] ?? ""]));
      rows.push({
        row: at + 2, values, isLong: cells.slice(columns.length).some((cell) => cell.trim()),
        recipient: (values.recipient ?? "").trim().toLowerCase(), password: (values.password ?? "").trim(),
      });
    });
    return { columns, rows };
  }

  class Check {
    constructor({ columns, rows, written, arePasswordsMade, ignores, maxRows }) {
      Object.assign(this, { columns, rows, written, arePasswordsMade, ignores, maxRows });
      this.problems = [];
      this.problemRows = new Set();
      this.notes = [];
      this.total = 0;
    }

    /* A slice at a time, so that the tab can be used meanwhile; false where nobody asks any more. */
    async run(isAsked) {
      this.file(this.maxRows);
      if (this.problems.length) return true;
      for (let at = 0; at < this.rows.length; at += ROWS_A_SLICE) {
        this.rows.slice(at, at + ROWS_A_SLICE).forEach((row) => this.row(row));
        await new Promise((resolve) => { setTimeout(resolve); });
        if (!isAsked()) return false;
      }
      if (!this.arePasswordsMade) this.passwords();
      this.others();
      return true;
    }

    problem(text, row) {
      this.total += 1;
      if (row) this.problemRows.add(row.row);
      if (this.problems.length < PROBLEMS_SHOWN) this.problems.push(row ? `Row ${row.row}: ${text}` : text);
    }

    file(maxRows) {
      const needed = ["recipient", ...(this.arePasswordsMade ? [] : ["password"]), ...this.written.keywords];
      const missing = [...new Set(needed)].filter((name) => !this.columns.includes(name));
      if (missing.length) this.problem(`The file has no column ${missing.join(", ")}.`);
      if (!this.rows.length) this.problem("The file has no rows below its first.");
      if (this.rows.length > maxRows) {
        this.problem(`The file has ${plural(this.rows.length, "row")}, and ${number(maxRows)} is the most.`);
      }
    }

    row(row) {
      if (row.isLong) this.problem("there are more cells than columns.", row);
      if (!row.recipient) this.problem("the recipient is blank.", row);
      else if (!IS_EMAIL.test(row.recipient)) this.problem("the recipient is not an email address.", row);
      if (!this.arePasswordsMade) this.password(row);
      if (this.mayBeTooLong(row) && PostmanCrypto.isTooLong(this.written.merged(row.values))) {
        this.problem("with its values the page is longer than 100 KB.", row);
      }
    }

    /* Putting all pages together takes seconds, and hardly any is so long: a letter is six bytes
       at most (&quot;), and a keyword that stands there more than once was counted by `written`. */
    mayBeTooLong(row) {
      let letters = this.written.length;
      for (const [name, times] of this.written.uses) letters += 2 * times * (row.values[name] ?? "").length;
      return letters * 6 > 100 * 1024;
    }

    password(row) {
      const key = PostmanCrypto.normalised(row.password, this.ignores);
      if (!key) this.problem("the password is blank.", row);
      else if ([...key].length < SHORTEST) this.problem(`the password has fewer than ${SHORTEST} characters.`, row);
      else {
        const seen = ["recipient", ...this.written.keywords.filter((name) => name !== "password")];
        const plain = PostmanCrypto.normalised(row.password, true);
        const same = seen.find((name) => PostmanCrypto.normalised(row.values[name] ?? "", true) === plain);
        if (same) this.problem(`the password is the same as ${same}, which others may see.`, row);
      }
    }

    /* Whoever knows one of them knows all others that are the same. */
    passwords() {
      const used = new Map();
      for (const row of this.rows) {
        const key = PostmanCrypto.normalised(row.password, this.ignores);
        if (used.has(key)) used.get(key).push(row.row);
        else used.set(key, [row.row]);
      }
      const most = Math.max(1, Math.floor(this.rows.length / 100));
      const repeated = [...used.values()].filter((rows) => rows.length > most);
      for (const rows of repeated) {
        const shown = rows.slice(0, 5).join(", ") + (rows.length > 5 ? "…" : "");
        this.problem(`The same password stands in ${plural(rows.length, "row")} (${shown}). Give each person their own.`);
      }
      const few = [...used.values()].filter((rows) => rows.length > 1 && rows.length <= most).length;
      if (few) this.notes.push(`${plural(few, "password")} stand${few === 1 ? "s" : ""} in more than one row.`);
      const guessable = this.rows.filter((row) => LOOKS_GUESSABLE.test(row.password)).length;
      if (guessable) {
        this.notes.push(
          `${plural(guessable, "password")} look${guessable === 1 ? "s" : ""} like a date, a telephone number or an NRIC ` +
          "number. Others may know these. Passwords made here are safer.");
      }
    }

    others() {
      const seen = new Set();
      const again = this.rows.filter((row) => seen.has(row.recipient) || !seen.add(row.recipient)).length;
      if (again) this.notes.push(`${plural(again, "row")} ha${again === 1 ? "s" : "ve"} a recipient that stands above it already: they get an email for each.`);
      for (const name of this.written.keywords) {
        const blank = this.rows.filter((row) => !(row.values[name] ?? "").trim()).length;
        if (blank) this.notes.push(`${name} is blank in ${plural(blank, "row")}.`);
      }
      if (this.written.keywords.includes("password")) this.problem("The text shows {{password}}. Take it out.");
    }
  }

  // Encrypting and uploading -----------------------------------------------------------------

  class Refused extends Error {}

  class Job {
    constructor({ rows, written, start, worker, csrf, ignores, onProgress, onTrouble }) {
      Object.assign(this, { rows, written, start, workerUrl: worker, csrf, ignores, onProgress, onTrouble });
      this.workers = [];
      this.next = 0;
      this.encrypted = 0;
      this.uploaded = 0;
      this.waiting = [];
      this.abort = new AbortController();
    }

    /* The address of the batch's page. */
    async run(options) {
      const { urls, iterations } = await this.post(this.start, { ...options, rows: this.rows.length });
      this.urls = urls;
      this.iterations = iterations;
      this.startedAt = performance.now();
      await Promise.all([this.encryptAll(), this.uploadAll()]);
      return (await this.post(urls.finish, {})).page;
    }

    async cancel() {
      this.stop();
      if (this.urls) {
        await fetch(this.urls.abandon, { method: "POST", headers: this.headers(), body: "{}", keepalive: true }).catch(() => {});
      }
    }

    stop() {
      this.isOver = true;
      this.abort.abort();
      this.workers.forEach((worker) => worker.terminate());
      this.wake?.();
    }

    encryptAll() {
      return new Promise((resolve, reject) => {
        this.abort.signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
        const cores = Math.max(1, Math.min(MOST_WORKERS, navigator.hardwareConcurrency || 2));
        for (let n = 0; n < Math.min(cores, this.rows.length); n += 1) {
          const worker = new Worker(this.workerUrl);
          this.workers.push(worker);
          worker.addEventListener("message", ({ data }) => {
            if (data.fault) {
              reject(new Refused("Your browser could not encrypt a row. Reload the page and try again."));
              return;
            }
            this.encrypted += data.rows.length;
            this.waiting.push(...data.rows);
            this.report();
            this.wake?.();
            if (this.encrypted === this.rows.length) {
              this.workers.forEach((each) => each.terminate());
              resolve();
            } else this.feed(worker);
          });
          worker.addEventListener("error", () => reject(new Refused("Your browser could not start to encrypt.")));
          for (let ahead = 0; ahead < JOBS_A_WORKER; ahead += 1) this.feed(worker);
        }
      });
    }

    feed(worker) {
      const rows = this.rows.slice(this.next, this.next + ROWS_A_JOB);
      if (!rows.length) return;
      this.next += rows.length;
      worker.postMessage({
        job: this.next, iterations: this.iterations, ignores: this.ignores,
        rows: rows.map((row) => ({
          id: crypto.randomUUID(), row: row.row, recipient: row.recipient, password: row.password,
          html: this.written.merged(row.values),
        })),
      });
    }

    async uploadAll() {
      while (this.uploaded < this.rows.length) {
        const rows = this.chunk();
        if (rows) {
          const { stored } = await this.post(this.urls.rows, { after: this.uploaded, rows });
          this.uploaded = stored;
          this.report();
        } else {
          await new Promise((resolve) => { this.wake = resolve; });
          this.wake = null;
          if (this.isOver) throw new DOMException("", "AbortError");
        }
      }
    }

    /* As many rows as make a chunk; fewer only at the very end. */
    chunk() {
      let bytes = 0;
      let end = 0;
      while (end < this.waiting.length && end < ROWS_A_CHUNK && bytes < BYTES_A_CHUNK) {
        bytes += this.waiting[end].ciphertext.length + 300;
        end += 1;
      }
      const isFull = end === ROWS_A_CHUNK || bytes >= BYTES_A_CHUNK;
      const isLast = this.encrypted === this.rows.length && end > 0;
      return isFull || isLast ? this.waiting.splice(0, end) : null;
    }

    headers() {
      return { "Content-Type": "application/json", "X-CSRFToken": this.csrf };
    }

    /* Tried until it is answered: a chunk that arrived twice counts once. */
    async post(url, content) {
      for (let wait = 1000; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
        let answer = null;
        try {
          answer = await fetch(url, {
            method: "POST", headers: this.headers(), body: JSON.stringify(content),
            redirect: "manual", signal: this.abort.signal,
          });
        } catch (error) {
          if (error.name === "AbortError") throw error;
        }
        if (answer?.ok) {
          this.onTrouble("");
          return answer.json();
        }
        if (answer?.type === "opaqueredirect") {
          this.onTrouble("You were signed out. Sign in again in another tab: this page then goes on.");
        } else if (answer?.status === 403 && await this.hasNewToken()) {
          // Whoever signs in again gets another token.
          continue;
        } else if (answer && answer.status < 500) {
          const told = await answer.json().catch(() => null);
          throw new Refused(told?.message || "Postman did not take this. Reload the page and try again.");
        } else {
          this.onTrouble("Postman cannot be reached just now. This page goes on by itself.");
        }
        await new Promise((resolve) => { setTimeout(resolve, wait); });
        if (this.isOver) throw new DOMException("", "AbortError");
      }
    }

    async hasNewToken() {
      const page = await fetch(location.href, { signal: this.abort.signal }).then((answer) => answer.text());
      const token = new DOMParser().parseFromString(page, "text/html").querySelector("[data-secure]")?.dataset.csrf;
      // It looks different each time: what the first 403 after it says is believed.
      const isFirst = this.renewed !== this.uploaded;
      this.renewed = this.uploaded;
      if (token) this.csrf = token;
      return Boolean(token) && isFirst;
    }

    report() {
      const seconds = (performance.now() - this.startedAt) / 1000;
      const left = this.rows.length - this.encrypted;
      this.onProgress({
        encrypted: this.encrypted, uploaded: this.uploaded, total: this.rows.length,
        // The first rows say little of how long the others take.
        secondsLeft: this.encrypted >= 8 ? (seconds / this.encrypted) * left : null,
      });
    }
  }

  function inWords(seconds) {
    if (seconds < 60) return "less than a minute";
    const minutes = Math.ceil(seconds / 60);
    return minutes < 90 ? `about ${plural(minutes, "minute")}` : `about ${plural(Math.round(minutes / 60), "hour")}`;
  }

  // The page ---------------------------------------------------------------------------------

  class Page {
    constructor(root) {
      this.root = root;
      this.shown = 0;
      this.text = this.one("[data-text]");
      this.options = this.one("[data-options]");
      this.file = this.one("[data-file]");
      this.text.addEventListener("input", () => this.later());
      root.addEventListener("change", (event) => {
        if (event.target.matches("[data-format]")) this.look();
        if (event.target.matches("[data-passwords], [name=ignores_case_and_spaces]")) this.makePasswords();
        if (event.target === this.file) this.readFile();
      });
      root.addEventListener("click", (event) => {
        const step = event.target.closest("[data-row-step]");
        if (step) this.step(Number(step.dataset.rowStep));
        const keyword = event.target.closest("[data-sample]");
        if (keyword) this.saveSample();
        if (event.target.closest("[data-save-passwords]")) this.savePasswords();
        if (event.target.closest("[data-cancel]")) this.cancel();
      });
      this.options.addEventListener("submit", (event) => this.submit(event));
      window.addEventListener("beforeunload", (event) => {
        if (!this.isDone && (this.text.value.trim() || this.rows)) event.preventDefault();
      });
      this.look();
      root.hidden = false;
    }

    one(selector) { return this.root.querySelector(selector); }

    get arePasswordsMade() { return this.one("[data-passwords]:checked").value === "made"; }

    get ignores() { return this.options.elements.ignores_case_and_spaces.checked; }

    later() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), 250);
    }

    /* What is written, checked against the file, and one row of it as its recipient will see it. */
    look() {
      clearTimeout(this.timer);
      this.written = PostmanText.read(this.text.value, this.one("[data-format]:checked").value);
      const fault = this.written.hasStrayBraces
        ? "A keyword is two braces, a name and two braces, such as {{name}}. One of these is not closed, or holds something else."
        : "";
      this.one("[data-text-fault]").textContent = fault;
      this.one("[data-text-fault]").hidden = !fault;
      this.text.setAttribute("aria-invalid", String(Boolean(fault)));
      this.check();
      this.preview();
    }

    preview() {
      const row = this.rows?.[this.shown];
      const values = row ? row.values : Object.fromEntries(this.written.keywords.map((name) => [name, `{{${name}}}`]));
      PostmanText.show(this.written.merged(values), this.one("[data-preview]"));
      if (this.written.isEmpty) {
        this.one("[data-preview]").append(element("p", "What you write stands here.", "hint"));
      }
      this.one("[data-row-shown]").textContent = row ? `Row ${row.row}, ${row.recipient || "without recipient"}` : "";
      this.one("[data-row-steps]").hidden = !row;
    }

    step(by) {
      this.shown = (this.shown + by + this.rows.length) % this.rows.length;
      this.preview();
    }

    async readFile() {
      const [file] = this.file.files;
      this.rows = null;
      this.files = (this.files ?? 0) + 1;
      this.fileFault = "";
      if (file) {
        this.fileName = file.name;
        const read = parsed(await file.text());
        this.fileFault = read.fault || "";
        if (!read.fault) ({ columns: this.columns, rows: this.rows } = read);
      }
      this.shown = 0;
      this.makePasswords();
    }

    makePasswords() {
      const isMade = this.arePasswordsMade;
      if (isMade) this.options.elements.ignores_case_and_spaces.checked = true;
      for (const row of this.rows ?? []) {
        row.password = isMade ? (row.made ??= randomPassword()) : (row.values.password ?? "").trim();
      }
      this.arePasswordsSaved = false;
      this.look();
    }

    /* Only when what it depends on has changed, as it looks at every row. */
    check() {
      const { keywords, isEmpty, length } = this.written;
      const depends = JSON.stringify(
        [keywords, isEmpty, length > 10_000 && length, this.arePasswordsMade, this.ignores, this.files, this.fileFault]);
      if (depends === this.checkedFor) return;
      this.checkedFor = depends;
      this.checking = this.checkRows(depends);
    }

    async checkRows(depends) {
      const problems = this.one("[data-problems]");
      const facts = this.one("[data-facts]");
      this.found = null;
      problems.replaceChildren();
      facts.replaceChildren();
      this.one("[data-made]").hidden = !(this.arePasswordsMade && this.rows);
      if (this.fileFault) this.tellProblems([this.fileFault], "This file cannot be used");
      if (!this.rows || this.written.isEmpty) {
        if (this.rows) facts.append(element("p", `${plural(this.rows.length, "row")}. Write the text to check them.`, "hint"));
        return;
      }
      const found = new Check({
        columns: this.columns, rows: this.rows, written: this.written, ignores: this.ignores,
        arePasswordsMade: this.arePasswordsMade, maxRows: Number(this.root.dataset.maxRows),
      });
      facts.append(element("p", "Checking every row…", "hint"));
      if (!await found.run(() => depends === this.checkedFor)) return;
      facts.replaceChildren();
      this.found = found;
      if (found.total) {
        const rows = found.problemRows.size;
        this.tellProblems(found.problems, rows ? `${plural(rows, "row")} cannot be used` : "This file cannot be used", found.total);
        return;
      }
      const line = element("p", "", "alert alert-success");
      line.append(element("span", `Every row is right: ${plural(found.rows.length, "recipient")}. Nothing was uploaded yet.`));
      facts.append(line);
      if (found.notes.length) {
        const list = element("ul");
        list.append(...found.notes.map((note) => element("li", note)));
        facts.append(element("p", "Look at this before you go on:"), list);
      }
    }

    tellProblems(problems, heading, total = problems.length) {
      const list = element("ul");
      list.append(...problems.map((problem) => element("li", problem)));
      const box = element("div", "", "error-summary");
      box.append(element("h3", heading), list);
      if (total > problems.length) box.append(element("p", `And ${number(total - problems.length)} more. Correct the file and choose it again.`));
      box.append(element("p", "Nothing was uploaded."));
      this.one("[data-problems]").append(box);
    }

    saveSample() {
      const names = this.written.keywords.filter((name) => !RESERVED.includes(name));
      const columns = ["recipient", ...(this.arePasswordsMade ? [] : ["password"]), ...names];
      const row = columns.map((name) => (name === "recipient" ? "name@example.com" : ""));
      save("postman_sample.csv", Papa.unparse([columns, row]));
    }

    savePasswords() {
      const rows = this.rows.map((row) => [row.recipient, row.password]);
      save("passwords.csv", Papa.unparse([["recipient", "password"], ...rows], { escapeFormulae: true }));
      this.arePasswordsSaved = true;
    }

    refuse(text, at) {
      const line = this.one("[data-refused]");
      line.textContent = text;
      line.hidden = !text;
      if (text) at?.focus();
    }

    async submit(event) {
      event.preventDefault();
      if (this.job || this.isChecking) return undefined;
      this.isChecking = true;
      this.look();
      await this.checking;
      this.isChecking = false;
      const { elements } = this.options;
      if (this.written.isEmpty) return this.refuse("Write what the secure page says.", this.text);
      if (this.written.hasStrayBraces) return this.refuse("Correct the keyword in the text.", this.text);
      if (!this.rows) return this.refuse("Choose the file of recipients.", this.file);
      if (!this.found || this.found.total) return this.refuse("Correct the file first: what is wrong stands above.", this.file);
      if (this.arePasswordsMade && !this.arePasswordsSaved) {
        return this.refuse("Download the passwords first: nobody can tell you them later.", this.one("[data-save-passwords]"));
      }
      if (!this.options.reportValidity()) return undefined;
      if (this.rows.some((row) => row.password && elements.hint.value.includes(row.password))) {
        return this.refuse("The hint holds a password. Everybody who has the link can read the hint.", elements.hint);
      }
      this.refuse("");
      return this.encrypt({
        file_name: this.fileName, hint: elements.hint.value, days: Number(elements.days.value),
        ignores_case_and_spaces: this.ignores,
      });
    }

    async encrypt(options) {
      const progress = this.one("[data-progress]");
      const bar = progress.querySelector("progress");
      const { worker, start, csrf } = this.root.dataset;
      const trouble = this.one("[data-trouble]");
      let spoken = -1;
      this.job = new Job({
        rows: this.rows, written: this.written, ignores: this.ignores, worker, start, csrf,
        onTrouble: (text) => { trouble.textContent = text; trouble.hidden = !text; },
        onProgress: ({ encrypted, uploaded, total, secondsLeft }) => {
          bar.max = total;
          bar.value = encrypted;
          this.one("[data-progress-line]").textContent =
            `${number(encrypted)} of ${number(total)} rows encrypted, ${number(uploaded)} uploaded` +
            (secondsLeft === null || encrypted === total ? "." : `; ${inWords(secondsLeft)} left.`);
          const tenth = Math.floor((encrypted / total) * 10);
          if (tenth !== spoken) {
            spoken = tenth;
            this.one("[data-progress-spoken]").textContent = `${tenth * 10} percent encrypted`;
          }
        },
      });
      this.one("[data-editing]").hidden = true;
      progress.hidden = false;
      progress.querySelector("h2").focus();
      const lock = await navigator.wakeLock?.request("screen").catch(() => null);
      try {
        const page = await this.job.run(options);
        this.isDone = true;
        location.assign(page);
      } catch (error) {
        this.job.cancel();
        this.job = null;
        progress.hidden = true;
        this.one("[data-editing]").hidden = false;
        const isOurs = error instanceof Refused;
        if (error.name !== "AbortError") {
          this.refuse(isOurs ? error.message : "This did not work, and the fault is ours. Reload the page and try again.");
          this.one("[data-refused]").scrollIntoView({ block: "center" });
        }
      } finally {
        lock?.release();
      }
    }

    cancel() {
      this.job?.stop();
    }
  }

  const root = document.querySelector("[data-secure]");
  if (!root) return;
  if (PostmanCrypto.isPossible() && globalThis.Worker && crypto.randomUUID) new Page(root);
  else document.querySelector("[data-impossible]").hidden = false;
})();
