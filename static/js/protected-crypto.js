/* How the text of a secure page becomes what the server keeps, and back (docs/security.md).

   The same file three times: on the sender's page, in the Web Workers that encrypt there, and on
   the recipient's page. It gives `PostmanCrypto`; as a worker it encrypts what it is posted:

     {job, iterations, ignores, rows: [{id, row, recipient, password, html}]}
       → {job, rows: [{id, row, recipient, salt, iv, ciphertext, verifier}]}, or {job, fault}

   Version 1: PBKDF2-HMAC-SHA-256 makes 256 bits of the password (16 random bytes of salt); of them
   HKDF-SHA-256 makes two keys that tell nothing of each other: the one encrypts with AES-256-GCM
   (12 random bytes, bound to the page's id), the other only proves that the password is known.
   What is encrypted is four bytes of length, the HTML and zeros up to a whole kilobyte. */
const PostmanCrypto = (() => {
  "use strict";

  const VERSION = 1;
  const PADDED_TO = 1024;
  const LENGTH_BYTES = 4;
  const MAX_PAGE_BYTES = 100 * 1024;
  const encoder = new TextEncoder();

  const isPossible = () =>
    Boolean(globalThis.isSecureContext && globalThis.crypto?.subtle && globalThis.TextDecoder);

  /* Devices write the same letter in more than one way; that must not make it another password. */
  function normalised(password, ignores) {
    const text = password.normalize("NFKC");
    return ignores ? text.toLowerCase().replace(/\s+/gu, "") : text;
  }

  async function keysOf(password, salt, iterations) {
    const { subtle } = crypto;
    const typed = await subtle.importKey("raw", encoder.encode(password), "PBKDF2", false, ["deriveBits"]);
    const slow = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
    const secret = await subtle.importKey(
      "raw", await subtle.deriveBits(slow, typed, 256), "HKDF", false, ["deriveBits", "deriveKey"]);
    const purpose = (name) => ({
      name: "HKDF", hash: "SHA-256", salt: new Uint8Array(),
      info: encoder.encode(`postman secure page ${VERSION} ${name}`),
    });
    const [key, verifier] = await Promise.all([
      subtle.deriveKey(purpose("encryption"), secret, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]),
      subtle.deriveBits(purpose("verifier"), secret, 256),
    ]);
    return { key, verifier: new Uint8Array(verifier) };
  }

  const cipher = (id, iv) => ({
    name: "AES-GCM", iv, tagLength: 128,
    additionalData: encoder.encode(`postman secure page ${VERSION} ${id}`),
  });

  const sizeOf = (html) => LENGTH_BYTES + encoder.encode(html).length;
  const isTooLong = (html) => sizeOf(html) > MAX_PAGE_BYTES;

  function padded(html) {
    const text = encoder.encode(html);
    const whole = Math.ceil((LENGTH_BYTES + text.length) / PADDED_TO) * PADDED_TO;
    const bytes = new Uint8Array(whole);
    new DataView(bytes.buffer).setUint32(0, text.length);
    bytes.set(text, LENGTH_BYTES);
    return bytes;
  }

  function unpadded(buffer) {
    const length = new DataView(buffer).getUint32(0);
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, LENGTH_BYTES, length));
  }

  async function encrypted({ id, row, recipient, password, html }, iterations, ignores) {
    const salt = crypto.getRandomValues(new Uint8Array(16));
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const { key, verifier } = await keysOf(normalised(password, ignores), salt, iterations);
    const ciphertext = new Uint8Array(await crypto.subtle.encrypt(cipher(id, iv), key, padded(html)));
    return {
      id, row, recipient, salt: toBase64(salt), iv: toBase64(iv),
      ciphertext: toBase64(ciphertext), verifier: toBase64(verifier),
    };
  }

  async function decrypted({ id, iv, ciphertext }, key) {
    const plain = await crypto.subtle.decrypt(cipher(id, fromBase64(iv)), key, fromBase64(ciphertext));
    return unpadded(plain);
  }

  function toBase64(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; at += 0x8000) {
      text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    }
    return btoa(text);
  }

  const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  return {
    VERSION, isPossible, isTooLong, normalised, keysOf, encrypted, decrypted, toBase64, fromBase64,
  };
})();

if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope) {
  self.addEventListener("message", async ({ data: { job, iterations, ignores, rows } }) => {
    try {
      const done = [];
      for (const row of rows) done.push(await PostmanCrypto.encrypted(row, iterations, ignores));
      self.postMessage({ job, rows: done });
    } catch {
      // What went wrong could name what it went wrong with.
      self.postMessage({ job, fault: true });
    }
  });
} else {
  globalThis.PostmanCrypto = PostmanCrypto;
}
