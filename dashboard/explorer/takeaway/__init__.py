"""What a visitor takes home from the explorer: the figure, the rows, certificates, a link."""
