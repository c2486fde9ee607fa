// Lays the cells of a deck out on slides of 1280 by 720, then starts reveal.js.
//
// The notebook says where a slide begins. What is too high for one slide is first set a little smaller; if it is still
// too high it goes on on a second slide, below the first, under the same heading. A single block that is higher than
// a slide is set as small as it must be, and the checker refuses a deck in which that is too small to read.

const SLIDE_HEIGHT = 720;
const SMALLER = [1, 0.9, 0.8];

// Headings and the questions of a quiz stay with what follows them.
const isHeading = (block) => /^H[1-6]$/.test(block.tagName);
const announces = (block) => isHeading(block) || block.matches(".output:has(> p:only-child)");

function spaceIn(section) {
  const style = getComputedStyle(section);
  return SLIDE_HEIGHT - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
}

// The page of a slide: one div that holds its blocks, so that they can be measured and set smaller together.
function pageIn(section) {
  return section.querySelector(":scope > .page");
}

function fits(section) {
  const page = pageIn(section);
  return page.getBoundingClientRect().height <= spaceIn(section) && widest(page) <= 0;
}

// By how many pixels something stands out on the right.
function widest(page) {
  const edge = page.getBoundingClientRect().right + 0.5;
  const blocks = [...page.querySelectorAll("table, img, svg, pre, mjx-container")];
  return Math.max(0, ...blocks.map((block) => block.getBoundingClientRect().right - edge));
}

function setSize(section, size) {
  pageIn(section).style.zoom = size;
}

// A new slide after `section`, under the same heading.
function continuation(section) {
  const next = document.createElement("section");
  const page = document.createElement("div");
  page.className = "page";
  const heading = [...pageIn(section).children].find(isHeading);
  if (heading) {
    const again = heading.cloneNode(true);
    again.removeAttribute("id");
    if (!again.querySelector(".again")) {
      again.insertAdjacentHTML("beforeend", ' <span class="again">(continued)</span>');
    }
    page.append(again);
  }
  next.append(page);
  section.after(next);
  return next;
}

// An output of several parts, such as a quiz, may be divided between them.
function takeApart(page) {
  for (const output of page.querySelectorAll(":scope > .output")) {
    if (output.children.length < 2) continue;
    for (const part of [...output.children]) {
      const whole = document.createElement("div");
      whole.className = "output";
      whole.append(part);
      output.before(whole);
    }
    output.remove();
  }
}

function layOut(section) {
  for (const size of SMALLER) {
    setSize(section, size);
    if (fits(section)) return;
  }
  const size = SMALLER[1];
  setSize(section, size);
  const page = pageIn(section);
  takeApart(page);
  const next = continuation(section);
  const room = pageIn(next);
  const before = room.children.length;
  // A heading stays with what it announces, and the first block stays where it is.
  const first = page.children.length && announces(page.children[0]) ? 2 : 1;
  while (!fits(section) && page.children.length > first) {
    do {
      room.insertBefore(page.lastElementChild, room.children[before] ?? null);
    } while (page.children.length > first && announces(page.lastElementChild));
  }
  let smallest = size;
  while (!fits(section) && smallest > 0.3) {
    smallest -= 0.02;
    setSize(section, smallest);
  }
  if (room.children.length > before) layOut(next);
  else next.remove();
}

async function start() {
  const slides = document.querySelector(".slides");
  slides.classList.add("laying-out");
  await MathJax.startup.promise;
  await MathJax.typesetPromise([slides]);
  // A picture that cannot be shown must not keep the others from the screen.
  await Promise.allSettled([...document.images].map((image) => image.decode()));
  await document.fonts.ready;
  for (const section of [...document.querySelectorAll("section > section")]) layOut(section);
  slides.classList.remove("laying-out");
  await Reveal.initialize({
    width: 1280,
    height: SLIDE_HEIGHT,
    margin: 0,
    center: false,
    hash: true,
    slideNumber: "c/t",
    transition: "none",
    plugins: [RevealNotes],
  });
  document.documentElement.dataset.ready = "yes";
}

start();
