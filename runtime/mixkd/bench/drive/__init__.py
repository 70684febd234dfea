"""The process that measures: it starts workers, gives them turns and watches the machine."""
