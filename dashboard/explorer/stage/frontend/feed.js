// Hands over news of one model; draws nothing.

export default function ({ data }) {
  const store = shared();
  const kept = store[data.kind][data.side];
  // Modules load at their own pace: what was sent earlier must not replace what was sent later.
  const late = kept && kept.token === data.token && kept.count > data.count;
  if (late) return;
  store[data.kind][data.side] = data;
  for (const hear of store.hears) hear();
}
