"""`make stack`: the services of `compose.yaml` as processes of this machine, for where there is no container engine.

The commands, variables, health checks and dependencies are read from `compose.yaml`; only how the programs of other
images are found on this machine is said here. Nothing of the platform itself imports this.
"""
