"""eps in the hand: pictures, numbers and the chart's cursor move in the browser, without the server."""
