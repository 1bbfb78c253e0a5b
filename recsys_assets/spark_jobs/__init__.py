"""What runs on a Spark cluster: the program of a job, and the bundle that brings it there.

A job materializes the very assets of the graph; nothing is said here about what they compute.
"""
