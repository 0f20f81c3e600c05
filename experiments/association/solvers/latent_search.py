"""Events and an unknown wave speed together: annealed chains of sort-match and Gauss-Newton, then search and settle.

Chains start at random events and at the middle of the code's range. Every event takes damped Gauss-Newton steps, the
code z of the wave speed is joined in (`exact_steps.py`), held by a prior that is loosened as events find their places.
The best codes each give a table of travel times; with it the events are sought afresh, one by one, as for a known speed
(`pursuit.py`), and settle with the code again. That is repeated while the loss falls.
"""
