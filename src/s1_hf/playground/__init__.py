"""The playground: one model in a browser, under budgets that are set by sliders. Needs the `playground` extra."""
