"""Reading Singer messages and deciding which STATE may leave."""
