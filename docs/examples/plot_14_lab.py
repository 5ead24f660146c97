"""
The lab
=======

A run with buttons: its neurons, figures, schedule and time machine. It is shown where it is the
last line of a notebook's cell. The picture was taken in JupyterLab.
"""

import snnviz as sv

lab = sv.Lab.open("runs/switched")
