"""Result rows, the ledger of what was sent, summaries."""
