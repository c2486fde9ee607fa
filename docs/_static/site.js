// What can be scrolled sideways can also be reached with the keyboard.
function markScrollable() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .live-wide, .live-view, .cell_output > *, .diagram, .math")) {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    if (scrolls && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "wide content, scrolls sideways");
    }
  }
}

addEventListener("load", markScrollable);
addEventListener("resize", markScrollable);

// The arrow keys turn the pages, where nothing else is waiting for them.
addEventListener("keydown", event => {
  const waiting = document.activeElement && document.activeElement !== document.body;
  if (waiting || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const way = {ArrowLeft: "prev", ArrowRight: "next"}[event.key];
  const link = way && document.querySelector(`link[rel="${way}"]`);
  if (link) location.href = link.href;
});

// Every exercise can be folded, wherever it stands: its title is the line that stays, and its check ends it.
function foldExercises() {
  const title = e => e.matches("p") && e.firstElementChild?.matches("strong") && e.firstElementChild.textContent;
  const tasks = [...document.querySelectorAll("article section > p")].filter(e => /^(Exercise )?\d+\. /.test(title(e)));
  for (const task of tasks) {
    const box = document.createElement("details"), line = document.createElement("summary");
    box.className = "exercise";
    box.open = true;
    line.textContent = title(task);
    const inside = [task];
    for (let e = task.nextElementSibling; e && !tasks.includes(e) && !e.matches("section"); e = e.nextElementSibling) {
      inside.push(e);
      if (e.matches(".cell") && e.textContent.includes(".check(")) break;
    }
    task.before(box);
    box.append(line, ...inside);
  }
}

// A quiz remembers which answer was opened first, on this device and nowhere else.
const MEMORY = "bert-course-quiz";

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(MEMORY)) ?? {};
  } catch {
    return {}; // no storage here, or something else's: the quiz works all the same
  }
}

function remember(answers) {
  try {
    localStorage.setItem(MEMORY, JSON.stringify(answers));
  } catch { /* as above */ }
}

let printing = false;

function followQuiz() {
  const options = [...document.querySelectorAll("#quiz .cell_output details")];
  const page = location.pathname.split("/").pop(), notes = new Map();
  if (!options.length) return;
  let question = 0, last = null;
  for (const option of options) {
    if (option.previousElementSibling?.matches("p")) {
      question++;
      last = document.createElement("p");
      last.className = "quiz-note";
      last.setAttribute("role", "status");
      option.previousElementSibling.after(last);
      notes.set(question, last);
    }
    option.dataset.question = question;
    option.addEventListener("toggle", () => {
      const answers = remembered();
      if (printing || !option.open || answers[page]?.[option.dataset.question]) return;
      const right = option.querySelector("em")?.textContent === "Right.";
      const letter = option.querySelector("summary").textContent.slice(0, 1);
      (answers[page] ??= {})[option.dataset.question] = {letter, right};
      remember(answers);
      show();
    });
  }
  const end = document.createElement("p"), forget = document.createElement("button");
  end.className = "quiz-note";
  forget.type = "button";
  forget.textContent = "Forget my answers";
  forget.addEventListener("click", () => {
    const answers = remembered();
    delete answers[page];
    remember(answers);
    for (const option of options) option.open = false;
    show();
  });
  const count = document.createElement("span");
  end.append(count, " ", forget);
  options.at(-1).after(end);
  function show() {
    const answers = remembered()[page] ?? {}, all = Object.values(answers);
    for (const [place, note] of notes) {
      const answer = answers[place];
      note.textContent = answer ? `Your first answer: ${answer.letter}, ${answer.right ? "right" : "not right"}.` : "";
    }
    count.textContent = `First answers that were right: ${all.filter(answer => answer.right).length} of ${notes.size}`
      + " (kept on this device only).";
  }
  show();
}

addEventListener("DOMContentLoaded", () => {
  foldExercises();
  followQuiz();
});

// What is folded is printed all the same.
addEventListener("beforeprint", () => {
  printing = true;
  for (const box of document.querySelectorAll("article details:not([open])")) {
    box.open = true;
    box.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const box of document.querySelectorAll("details[data-opened]")) {
    box.open = false;
    delete box.dataset.opened;
  }
  setTimeout(() => { printing = false; }, 100);
});
