"use strict";
// Before the first paint, so that the page does not flash in the other theme.
{
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    /* storage is turned off: the system decides */
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
