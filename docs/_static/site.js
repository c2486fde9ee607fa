// What can be scrolled sideways can also be reached with the keyboard.
function markScrollable() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .cell_output > *, .math")) {
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
