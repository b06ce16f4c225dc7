"""Plan and module to a run folder: random streams, data on the device, the step, the loop, the journal."""
