import sys
from pathlib import Path

# The tests run on the sources, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
