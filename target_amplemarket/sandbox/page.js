// Keeps the page fresh by asking for it again, and sends what its forms and buttons say. Without it the page stands still.
"use strict";

const EVERY_MS = 1000;
const said = document.getElementById("said");

async function refresh() {
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other || other.innerHTML === part.innerHTML) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...part.querySelectorAll(".wide")].map((wide) => wide.scrollLeft);
    part.replaceChildren(...other.childNodes);
    [...part.querySelectorAll(".wide")].forEach((wide, at) => { wide.scrollLeft = scrolled[at] ?? 0; });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

async function keepFresh() {
  try {
    if (!document.hidden) await refresh();
    if (said.dataset.lost) { delete said.dataset.lost; said.textContent = ""; }
  } catch {
    said.dataset.lost = "yes";
    said.textContent = "The sandbox does not answer; what is shown may be old.";
  }
  setTimeout(keepFresh, EVERY_MS);
}

async function change(changes, done) {
  const answer = await fetch("/_sandbox/switches", { method: "PATCH", body: JSON.stringify(changes) });
  said.textContent = answer.ok ? done : (await answer.json()).error;
  await refresh();
  return answer.ok;
}

async function faults() {
  return (await (await fetch("/_sandbox/switches")).json()).faults;
}

async function switchOn(form) {
  const given = new FormData(form);
  const parameters = [["endpoint", given.get("endpoint")], ["times", given.get("times")]]
    .filter(([, value]) => value).map(([name, value]) => `${name}=${value}`);
  const further = given.get("further").trim();
  const text = `${given.get("kind")}:${[...parameters, ...(further ? [further] : [])].join(",")}`;
  await change({ faults: [...(await faults()), text] }, `${given.get("kind")} is switched on.`);
}

async function switchOff(button) {
  const now = await faults(), at = Number(button.dataset.faultOff), kind = button.dataset.kindName;
  if (now[at]?.kind === kind) await change({ faults: now.toSpliced(at, 1) }, `${kind} is switched off.`);
}

document.addEventListener("submit", (event) => {
  if (event.target.id === "add-fault") { event.preventDefault(); switchOn(event.target); }
  if (event.target.id === "set-switch") {
    event.preventDefault();
    const given = new FormData(event.target);
    change({ [given.get("name")]: given.get("value") }, `${given.get("name")} is set.`);
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.faultOff) switchOff(button);
  if (button?.dataset.switch) {
    change({ [button.dataset.switch]: JSON.parse(button.dataset.default) }, `${button.dataset.switch} is back to its default.`);
  }
});

keepFresh();
