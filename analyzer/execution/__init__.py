"""What runs a schedule, or shows it: real numpy runs, the timeline of its arrays, traces."""
