// Counts the seconds until another code may be asked for. The server checks them anyway.
const button = document.querySelector("[data-wait]");
const shown = document.querySelector("[data-seconds]");
if (shown) {
  const until = Date.now() + 1000 * Number(shown.dataset.seconds);
  button.disabled = true;
  const timer = setInterval(() => {
    const left = Math.ceil((until - Date.now()) / 1000);
    shown.textContent = Math.max(left, 0);
    if (left > 0) return;
    clearInterval(timer);
    button.disabled = false;
    document.querySelector("[data-countdown]").remove();
  }, 250);
}
