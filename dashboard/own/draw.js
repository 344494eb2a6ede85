// A page to draw on, white on black as MNIST is. Points are shares of its side, whatever its size.
// The strokes live here; Python gets a copy after each change and hands one back when the page opens again.
const pads = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const pad = pads.get(parentElement) ?? open(parentElement, data)
  pad.send = () => setStateValue("strokes", pad.strokes)
  pad.canvas.setAttribute("aria-label", data.label)
  pad.draw()
  return () => {
    pad.watch.disconnect()
    pads.delete(parentElement)
  }
}

function open(root, data) {
  const canvas = root.querySelector(".paper")
  const undo = root.querySelector(".undo")
  const clear = root.querySelector(".clear")
  const pad = { canvas, strokes: structuredClone(data.strokes), send: () => {} }
  let line = null
  let pen = null

  pad.draw = () => {
    const side = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)))
    if (canvas.width !== side) canvas.width = canvas.height = side
    const ink = canvas.getContext("2d")
    ink.clearRect(0, 0, side, side)
    ink.strokeStyle = "#fff"
    ink.lineCap = ink.lineJoin = "round"
    ink.lineWidth = data.pen * side
    for (const points of line ? [...pad.strokes, line] : pad.strokes) {
      const [x, y] = points[0]
      ink.beginPath()
      ink.moveTo(x * side, y * side)
      // A line to where it begins would not be drawn: a dot is a very short one.
      ink.lineTo(x * side + 0.01, y * side)
      for (const [x, y] of points.slice(1)) ink.lineTo(x * side, y * side)
      ink.stroke()
    }
    undo.disabled = clear.disabled = pad.strokes.length === 0
  }

  const point = event => {
    const box = canvas.getBoundingClientRect()
    const share = (value, from, length) =>
      Math.round(Math.min(1, Math.max(0, (value - from) / length)) * 1e4) / 1e4
    return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)]
  }
  const add = event => {
    const [x, y] = point(event)
    const [lastX, lastY] = line[line.length - 1]
    const used = pad.strokes.reduce((sum, points) => sum + points.length, line.length)
    if (used < data.most && Math.hypot(x - lastX, y - lastY) > 0.005) line.push([x, y])
  }
  const change = () => {
    pad.draw()
    pad.send()
  }

  canvas.onpointerdown = event => {
    if (line || event.button !== 0) return
    const used = pad.strokes.reduce((sum, points) => sum + points.length, 0)
    if (used >= data.most) return
    event.preventDefault()
    canvas.setPointerCapture(event.pointerId)
    pen = event.pointerId
    line = [point(event)]
    pad.draw()
  }
  canvas.onpointermove = event => {
    if (!line || event.pointerId !== pen) return
    for (const each of event.getCoalescedEvents?.() ?? []) add(each)
    add(event)
    pad.draw()
  }
  canvas.onpointerup = canvas.onpointercancel = event => {
    if (!line || event.pointerId !== pen) return
    pad.strokes = [...pad.strokes, line]
    line = pen = null
    change()
  }
  undo.onclick = () => {
    pad.strokes = pad.strokes.slice(0, -1)
    change()
  }
  clear.onclick = () => {
    pad.strokes = []
    change()
  }

  // Sharp again after another width or zoom.
  pad.watch = new ResizeObserver(() => pad.draw())
  pad.watch.observe(canvas)
  pads.set(root, pad)
  return pad
}
