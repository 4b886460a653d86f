"""Imported first by the server that workers are forked from, to end with its parent even while it imports the rest."""

from ramac_lib.system.processes import set_death_signal

set_death_signal()
