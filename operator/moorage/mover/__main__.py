"""Start the mover without the rest of the house: `python -m moorage.mover capture|restore|verify|rehearse`."""

import sys

from moorage.mover import door

sys.exit(door.main(sys.argv[1:]))
