// The page: answers while one types.
import { Classifier } from "./classifier.js";

const SHOWN = 5;
const box = document.querySelector("#text");
const answers = document.querySelector("#answers");
const status = document.querySelector("#status");

let asked = null; // the newest text that waits for its answer
let busy = false;

async function answer(classifier) {
  asked = box.value;
  if (busy) return; // the loop below will see it
  busy = true;
  while (asked !== null) {
    const text = asked;
    asked = null;
    const start = performance.now();
    const ranked = await classifier.rank(text);
    const took = performance.now() - start;
    show(ranked.slice(0, SHOWN));
    status.textContent = `${took.toFixed(1)} ms`;
  }
  busy = false;
}

function show(ranked) {
  const rows = ranked.map(({ label, score }) => {
    const row = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("meter");
    const share = document.createElement("span");
    name.textContent = label.replaceAll("_", " ");
    bar.value = score;
    share.textContent = `${(100 * score).toFixed(1)} %`;
    row.append(name, bar, share);
    return row;
  });
  answers.replaceChildren(...rows);
}

try {
  const classifier = await Classifier.load("bundle");
  box.addEventListener("input", () => answer(classifier));
  status.textContent = "Ready";
  if (box.value) answer(classifier); // typed while it loaded
} catch (error) {
  status.textContent = `The bundle can't be loaded. ${error.message}`;
}
