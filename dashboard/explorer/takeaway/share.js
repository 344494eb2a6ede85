/* A link in a field, and a button that copies it. data: link, label, copy, copied, by_hand. */
export default function ({ data, parentElement }) {
  const field = parentElement.querySelector("input");
  const button = parentElement.querySelector("button");
  const said = parentElement.querySelector("[role=status]");
  parentElement.querySelector("label").textContent = data.label;
  button.textContent = data.copy;
  if (field.value !== data.link) said.textContent = "";
  field.value = data.link;
  field.onfocus = () => field.select();
  button.onclick = async () => {
    said.textContent = (await copy(field)) ? data.copied : data.by_hand;
  };
}

async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // Without TLS, or without leave, there is only the old way.
    field.select();
    return document.execCommand("copy");
  }
}
