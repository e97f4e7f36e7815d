"""What the target costs, measured beside a floor and beside what people would use instead."""
