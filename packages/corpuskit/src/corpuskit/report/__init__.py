"""Self-contained HTML pages: text, tables, plots and players in one file, without a network.

`markup` escapes and nests, `table`, `svg`, `sound` and `choice` make the parts, `page` puts
them together. Nothing here knows what a corpus or a run is. Equal input gives equal bytes.
"""
