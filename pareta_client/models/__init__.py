"""What the service answers, as typed records that keep the service's own JSON; a module for each namespace."""
