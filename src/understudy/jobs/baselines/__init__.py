"""What every family has to beat, given the same pictures and the same time. For the benchmark; no way of making a shot."""
