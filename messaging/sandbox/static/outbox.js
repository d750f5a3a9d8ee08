// Shows new messages without a reload, on the newest page only, until paused.
const list = document.getElementById("messages");
const pause = document.getElementById("pause");
const news = document.getElementById("news");
let paused = false;

async function refresh() {
  const busy = paused || document.hidden || list.contains(document.activeElement);
  if (busy) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("messages");
    const count = fresh.querySelector(".count").textContent;
    if (count !== list.querySelector(".count").textContent) news.textContent = count;
    if (fresh.innerHTML !== list.innerHTML) list.innerHTML = fresh.innerHTML;
  } catch {
    // The sandbox is restarting; the next round will see.
  }
}

if (list.dataset.live === "yes") {
  pause.parentElement.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
  });
  setInterval(refresh, 2000);
}
