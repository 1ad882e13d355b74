"""What a person runs, schedules or triggers: one file a flow, each a table of contents."""
