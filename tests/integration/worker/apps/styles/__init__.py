"""Applications in every style that contradict umbel in all they can; `matrix.py` lists them."""
