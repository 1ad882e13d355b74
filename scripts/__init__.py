"""Development scripts; none is part of the installed packages."""
