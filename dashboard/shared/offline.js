// Says on the screen that the browser has no network; the page itself could not.

export default function ({ parentElement }) {
  const line = parentElement.querySelector("p");
  const tell = () => (line.textContent = navigator.onLine ? "" : line.dataset.words);
  tell();
  window.addEventListener("offline", tell);
  window.addEventListener("online", tell);
  return () => {
    window.removeEventListener("offline", tell);
    window.removeEventListener("online", tell);
  };
}
