// A script of its own, before anything is drawn: no flash of the wrong colors.
try {
  const theme = localStorage.getItem("oriel:theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's colors.
}
