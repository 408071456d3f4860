"""Tasks on the machines of a cluster, through Dask or Ray.

joblib has backends for both, and neither can lose a worker: its Ray backend fails with the
first process that dies, and its Dask backend never returns when a task has killed as many
workers as Dask allows. So tasks are given to Dask and Ray themselves, which do the tasks of
a dead worker again.
"""
