// Lays a deck out on slides of 1280 by 720, then starts reveal.js. The address may ask for less, or for paper:
//
//   ?minutes=45   only the slides of a lecture of 45 minutes; ?minutes=90 likewise
//   ?handout      a page to print: each slide, and below it its notes and its code
//
// tools/slide_plan.py decides what stands on a slide, and a picture takes the room that the words leave. Printed
// numbers and code are set as large as they fit; what is still too high is set smaller as a whole, and the
// checker refuses a deck in which that is too small to read.

const SLIDE_HEIGHT = 720;
const LARGEST = {code: 26, printed: 34, belowPicture: 20}; // pixels
const LEAST = 14; // below it lines are broken
const SHRINK = [1, 0.94, 0.88, 0.82, 0.76, 0.7, 0.64, 0.58, 0.52, 0.47];
const SMALLER = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6];
const SMALLEST_PICTURE = 260; // pixels high

const asked = new URLSearchParams(location.search);
const handout = asked.has("handout");
if (handout) document.querySelector("link[href$='reveal.css']").remove(); // it has a print style of its own

// By how many pixels something stands out, on the right or below, or how much too low a picture is.
function excess(page) {
  const edge = page.getBoundingClientRect();
  const inside = [...page.querySelectorAll("table, pre, mjx-container, .picture > div > *")];
  const right = Math.max(0, ...inside.map((part) => part.getBoundingClientRect().right - edge.right));
  const wide = Math.max(0, ...[...page.querySelectorAll("pre")].map((pre) => pre.scrollWidth - pre.clientWidth));
  const low = Math.max(0, ...[...page.querySelectorAll(".picture")].map((e) => SMALLEST_PICTURE - e.clientHeight));
  return Math.max(right, wide, low, page.scrollHeight - page.clientHeight);
}

// The size at which every line of a listing fits in the width of the slide, and none has to be broken.
function sizeByWidth(pre) {
  const beside = pre.closest(".page").querySelector(".picture") ? "belowPicture" : "printed";
  const largest = LARGEST[pre.closest(".source") ? "code" : beside];
  pre.style.fontSize = `${largest}px`;
  const width = pre.scrollWidth > pre.clientWidth ? pre.clientWidth / pre.scrollWidth : 1;
  if (largest * width >= LEAST) return Math.floor(largest * width * 2) / 2;
  pre.classList.add("breaks-lines");
  return 18;
}

function layOut(page) {
  const fits = () => excess(page) <= 1;
  const listings = [...page.querySelectorAll("pre")];
  const sizes = listings.map(sizeByWidth);
  for (const factor of listings.length ? SHRINK : []) {
    listings.forEach((pre, i) => (pre.style.fontSize = `${Math.max(LEAST, sizes[i] * factor)}px`));
    if (fits()) return;
  }
  // `zoom` makes a pixel smaller, so that the page keeps its size on the slide and has more of them.
  for (const size of SMALLER) {
    page.style.zoom = size;
    page.style.height = `${640 / size}px`;
    if (fits()) return;
  }
}

function forPaper(section) {
  const frame = document.createElement("div");
  const inner = document.createElement("div");
  frame.className = "frame";
  inner.className = "inner";
  inner.append(...section.querySelectorAll(":scope > .page, :scope > .cut"));
  frame.append(inner);
  section.prepend(frame);
  for (const folded of section.querySelectorAll("details")) folded.open = true;
  const notes = section.querySelector(":scope > .notes");
  if (notes) frame.after(notes);
}

function toggleCode() {
  const fold = Reveal.getCurrentSlide().querySelector(":scope > .fold");
  if (fold) fold.open = !fold.open;
}

async function start() {
  const slides = document.querySelector(".slides");
  const minutes = Number(asked.get("minutes"));
  if (minutes) {
    for (const slide of slides.querySelectorAll("section[data-minutes]")) {
      const place = Number(slide.dataset.minutes);
      if (!place || place > minutes) slide.remove();
    }
    for (const column of slides.querySelectorAll(":scope > section:empty")) column.remove();
  }
  slides.classList.add("laying-out");
  await MathJax.startup.promise;
  await MathJax.typesetPromise([slides]);
  // A picture that cannot be shown must not keep the others from the screen.
  await Promise.allSettled([...document.images].map((image) => image.decode()));
  await document.fonts.ready;
  for (const page of slides.querySelectorAll(".page")) layOut(page);
  slides.classList.remove("laying-out");
  if (handout) {
    document.documentElement.classList.add("handout");
    for (const section of slides.querySelectorAll("section[data-minutes]")) forPaper(section);
  } else {
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
    Reveal.addKeyBinding({keyCode: 67, key: "C", description: "Show the code of the slide"}, toggleCode);
    Reveal.on("slidechanged", () => {
      for (const open of document.querySelectorAll(".fold[open]")) open.open = false;
    });
  }
  document.documentElement.dataset.ready = "yes";
}

start();
