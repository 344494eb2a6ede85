// Hands over what the models say; draws nothing.

export default function ({ data }) {
  const store = shared();
  const kept = store.answer;
  // Modules load at their own pace: what was sent earlier must not replace what was sent later.
  if (kept && kept.token === data.token && kept.count > data.count) return;
  store.answer = data;
  for (const hear of store.hears) hear();
}
