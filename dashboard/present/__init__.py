"""For a room: the explorer's question in large type, with few controls."""
